"""What a loop minimises: the stages, the losses of a batch, and what is tuned in each stage."""

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
    """Losses of several parts, each a sum over rows and the weight to divide it by."""

    stages: tuple[Stage, ...]
    weights: tuple[float, ...]  # what each part counts

    def parameter_groups(self, model: Any, stage: Stage) -> Iterator[dict[str, Any]]:
        """What a stage tunes, as an optimizer's parameter groups with their highest rates."""

    def prepare(self, batch: Batch, seed: tuple[int, ...], stage: Stage) -> Batch:
        """The batch as it is trained on; raises InputError where it cannot be."""

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """(parts,): the weight that each part's sum is divided by."""

    def loss_sums(self, model: Any, batch: TensorBatch, stage: Stage) -> Tensor:
        """(parts,): each part's loss, summed."""


class SupervisedObjective:
    """The heads' tasks: first on the numbers alone, then with the text."""

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
        """The heads, the numbers and, with the text, the encoder, each at its own rate."""
        plan = self.plan
        parts: list[tuple[Any, float]]
        if not stage.with_text:
            parts = [(model.numbers, plan.head_lr), (model.heads.tasks, plan.head_lr)]
        else:
            parts = [(model.numbers, plan.numbers_lr), (model.heads, plan.head_lr)]
            is_plain = plan.tuning.method in ("all", "top")
            bert = base_encoder(model)
            parts += (
                layerwise_learning_rates(bert, plan.encoder_lr, plan.layer_decay)
                if is_plain
                else [(model.bert, plan.encoder_lr)]
            )
        for part, lr in parts:
            yield from make_parameter_groups(part, lr, plan.weight_decay)

    def prepare(self, batch: Batch, seed: tuple[int, ...], stage: Stage) -> Batch:
        """The labels checked against the heads, the text augmented."""
        with np.errstate(invalid="ignore"):
            bad = (batch["labels"] < 0) | (batch["labels"] > self.max_label)
            bad &= self.is_bounded
        if bad.any():
            row, column = np.argwhere(bad)[0]
            task = next(
                t for t, at in slice_label_columns(self.tasks) if at.start <= column < at.stop
            )
            raise InputError(
                f"training: a label of {task.name} is {batch['labels'][row, column]:g} in the row "
                f"of hash {batch['row_hash'][row]}; its head answers 0 to {task.max_label:g}: "
                "run build_examples again, or mend model.tasks"
            )
        if stage.with_text and self.augmenter is not None:
            return self.augmenter.augment(batch, seed)
        return batch

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """The weight of each task's known labels."""
        return known_label_weights(self.tasks, batch["labels"], batch["weight"])

    def loss_sums(self, model: ProfileModel, batch: TensorBatch, stage: Stage) -> Tensor:
        """Each task's loss."""
        if stage.with_text:
            logits = model(batch["token_ids"], batch["n_tokens"], batch["numeric"]).logits
        else:
            logits = model.predict_without_text(batch["numeric"])
        smoothing = self.plan.label_smoothing
        return loss_sums(self.tasks, logits, batch["labels"], batch["weight"], smoothing)
