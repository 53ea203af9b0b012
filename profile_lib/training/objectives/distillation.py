"""Train a smaller model on labels and on the outputs of its teacher."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.training.data.augmentation import Augmenter
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.fit import FitJob
from profile_lib.training.objectives.losses import loss_sums, soft_target_loss_sums
from profile_lib.training.objectives.supervised import Objective, SupervisedObjective, TensorBatch
from profile_lib.training.plan import Stage, TrainingPlan


@dataclass(frozen=True)
class DistillationOptions:
    """The weights and the temperature of a distillation: settings of the section `compress`."""

    labels_weight: float
    teacher_weight: float
    distance_weight: float
    temperature: float


class DistillationObjective(SupervisedObjective):
    """Losses by the known labels, and by the teacher's outputs for all rows.

    A third part is the cosine distance of the pooled text from the teacher's, which keeps the
    encoder's vectors close to the teacher's (as Sanh et al., DistilBERT, 2019, do with hidden
    states). The teacher reads the same texts in evaluation mode. It is part neither of the model
    nor of its checkpoints.
    """

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        weights: tuple[float, ...],
        plan: TrainingPlan,
        augmenter: Augmenter | None,
        teacher: ProfileModel,
        distillation: DistillationOptions,
    ) -> None:
        super().__init__(tasks, weights, plan, augmenter)
        self.teacher = teacher.eval().requires_grad_(False)
        self.temperature = distillation.temperature
        by_labels = tuple(distillation.labels_weight * weight for weight in weights)
        by_teacher = tuple(distillation.teacher_weight * weight for weight in weights)
        self.weights = (*by_labels, *by_teacher, distillation.distance_weight)
        stage = Stage("distil", True, plan.epochs, plan.batch_size, plan.negative_downsampling_rate)
        self.stages = (stage,)

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """Return the divisors of `loss_sums`, (2 tasks + 1,).

        They are each task's weight of known labels, each task's weight of all its teacher's
        outputs, and the weight of all rows.
        """
        rows = batch["weight"].sum()
        outputs = torch.stack([rows * task.n_labels for task in self.tasks])
        return torch.cat([super().weight_sums(batch), outputs, rows.view(1)])

    def loss_sums(self, model: ProfileModel, batch: TensorBatch, stage: Stage) -> Tensor:
        """Return each task's loss by labels, each task's by the teacher, and the distance.

        The shape is (2 tasks + 1,); losses are weighted sums over the rows.
        """
        inputs = batch["token_ids"], batch["n_tokens"], batch["numeric"]
        with torch.no_grad():
            target = self.teacher(*inputs)
        output, weight, n_tokens = model(*inputs), batch["weight"], batch["n_tokens"]
        smoothing = self.plan.label_smoothing
        by_labels = loss_sums(self.tasks, output.logits, batch["labels"], weight, smoothing)
        by_teacher = soft_target_loss_sums(
            self.tasks, output.logits, target.logits, weight, self.temperature
        )
        pooled, teacher_pooled = (
            model.pool(out.hidden, n_tokens).float() for out in (output, target)
        )
        distance = (1 - F.cosine_similarity(pooled, teacher_pooled)) * weight
        return torch.cat([by_labels, by_teacher, distance.sum().view(1)])


def use_teacher_tasks(snapshot: Snapshot, teacher: ModelSpec, numeric: Sequence[str]) -> Snapshot:
    """Return the snapshot with the teacher's tasks, and so with its scales of regressions.

    Raises InputError unless the teacher has the snapshot's tasks, and reads the features `numeric`
    and the snapshot's categories and text lengths.
    """
    tasks, teacher_tasks = (
        [(t.name, t.kind, t.classes) for t in owner.tasks] for owner in (snapshot, teacher)
    )
    changed = ["tasks"] if tasks != teacher_tasks else []
    if teacher.numeric not in ((), tuple(numeric)):
        changed.append("numbers")
    if teacher.categories not in ((), snapshot.categories):
        changed.append("categories")
    if snapshot.max_tokens > teacher.max_tokens:
        changed.append(f"lengths ({snapshot.max_tokens} tokens, not {teacher.max_tokens})")
    if changed:
        raise InputError(
            f"examples: {' and '.join(changed)} are not those that the teacher was trained on; "
            "the table or model.tasks changed since: run train_model again"
        )
    return replace(snapshot, tasks=teacher.tasks)


@dataclass(frozen=True)
class DistilJob(FitJob):
    """A job that fits the model in its folder to its tasks and its teacher."""

    teacher: str = ""  # a model's folder, on a path that all processes share
    distillation: DistillationOptions = DistillationOptions(1.0, 1.0, 1.0, 1.0)

    def make_objective(
        self, tasks: Sequence[TaskSpec], augmenter: Augmenter | None, device: torch.device
    ) -> Objective:
        """Return the quantity to minimise: the loss by labels and teacher."""
        teacher, _, _ = load_model(self.teacher)
        return DistillationObjective(
            tasks, self.weights, self.plan, augmenter, teacher.to(device), self.distillation
        )
