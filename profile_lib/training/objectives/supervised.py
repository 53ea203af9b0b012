"""Train on the labels of prediction tasks: stages, parameter groups, losses."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from profile_lib.errors import InputError
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.tasks import TaskSpec, slice_label_columns
from profile_lib.training.adapters import base_encoder
from profile_lib.training.data.augmentation import Augmenter
from profile_lib.training.data.batches import Batch
from profile_lib.training.objectives.losses import known_label_weights, loss_sums
from profile_lib.training.plan import (
    Stage,
    TrainingPlan,
    layerwise_learning_rates,
    make_parameter_groups,
)

TensorBatch = dict[str, Tensor]  # a Batch on the device


class Objective(Protocol):
    """The quantity that a training loop minimises: a weighted sum of parts.

    A part is a loss summed over rows, divided by a weight summed over rows.
    """

    stages: tuple[Stage, ...]
    weights: tuple[float, ...]  # of the parts

    def parameter_groups(self, model: Any, stage: Stage) -> Iterator[dict[str, Any]]:
        """Yield the optimizer's parameter groups in a stage, each with its `peak_lr`."""

    def prepare(self, batch: Batch, seed: tuple[int, ...], stage: Stage) -> Batch:
        """Return the batch as `loss_sums` reads it. Raises InputError if it is invalid."""

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """Return the divisor of each part's loss sum, (parts,)."""

    def loss_sums(self, model: Any, batch: TensorBatch, stage: Stage) -> Tensor:
        """Return each part's loss sum, (parts,)."""


class SupervisedObjective:
    """Losses of the heads' tasks: first on the numbers alone, then with the text."""

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        weights: tuple[float, ...],
        plan: TrainingPlan,
        augmenter: Augmenter | None,
    ):
        self.tasks, self.weights, self.plan, self.augmenter = tasks, weights, plan, augmenter
        self.max_label = np.concatenate([np.full(t.n_labels, t.max_label) for t in tasks])
        self.is_bounded = np.isfinite(self.max_label)
        self.stages: tuple[Stage, ...] = (
            Stage("numbers", False, plan.numeric_epochs, plan.numeric_batch_size, 1.0),
            Stage("text", True, plan.epochs, plan.batch_size, plan.negative_downsampling_rate),
        )

    def parameter_groups(self, model: ProfileModel, stage: Stage) -> Iterator[dict[str, Any]]:
        """Yield heads, numbers and, with the text, the encoder, each at its own learning rate."""
        plan = self.plan
        parts: list[tuple[Any, float]]
        if not stage.with_text:
            parts = [(model.numbers, plan.head_lr), (model.heads.tasks, plan.head_lr)]
        else:
            parts = [(model.numbers, plan.numbers_lr), (model.heads, plan.head_lr)]
            has_adapters = plan.tuning.method not in ("all", "top")
            bert = base_encoder(model)
            parts += (
                [(model.bert, plan.encoder_lr)]
                if has_adapters
                else layerwise_learning_rates(bert, plan.encoder_lr, plan.layer_decay)
            )
        for part, lr in parts:
            yield from make_parameter_groups(part, lr, plan.weight_decay)

    def prepare(self, batch: Batch, seed: tuple[int, ...], stage: Stage) -> Batch:
        """Check that each label is in its task's range, and augment the text."""
        with np.errstate(invalid="ignore"):
            is_invalid = (batch["labels"] < 0) | (batch["labels"] > self.max_label)
            is_invalid &= self.is_bounded
        if is_invalid.any():
            raise self._invalid_label(batch, *np.argwhere(is_invalid)[0])
        if stage.with_text and self.augmenter is not None:
            return self.augmenter.augment(batch, seed)
        return batch

    def _invalid_label(self, batch: Batch, row: int, column: int) -> InputError:
        task = next(
            task
            for task, columns in slice_label_columns(self.tasks)
            if columns.start <= column < columns.stop
        )
        return InputError(
            f"training: a label of {task.name} is {batch['labels'][row, column]:g} in the row of "
            f"hash {batch['row_hash'][row]}; its head predicts 0 to {task.max_label:g}: run "
            "build_examples again, or fix model.tasks"
        )

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """Return the weight of each task's known labels, (tasks,)."""
        return known_label_weights(self.tasks, batch["labels"], batch["weight"])

    def loss_sums(self, model: ProfileModel, batch: TensorBatch, stage: Stage) -> Tensor:
        """Return each task's loss, (tasks,), weighted and summed over its known labels."""
        if stage.with_text:
            logits = model(batch["token_ids"], batch["n_tokens"], batch["numeric"]).logits
        else:
            logits = model.predict_without_text(batch["numeric"])
        smoothing = self.plan.label_smoothing
        return loss_sums(self.tasks, logits, batch["labels"], batch["weight"], smoothing)
