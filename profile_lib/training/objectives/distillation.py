"""What a smaller model learns from its teacher: soft targets, its place among texts, the labels."""

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
from profile_lib.training.objectives.losses import loss_sums
from profile_lib.training.objectives.supervised import Objective, SupervisedObjective, TensorBatch
from profile_lib.training.plan import Stage, TrainingPlan


@dataclass(frozen=True)
class DistillationOptions:
    """What each part of a distillation counts; the settings of the same names say more."""

    labels_weight: float
    teacher_weight: float
    distance_weight: float
    temperature: float


def soft_target_loss_sums(
    tasks: Sequence[TaskSpec],
    logits: dict[str, Tensor],
    teacher_logits: dict[str, Tensor],
    weight: Tensor,
    temperature: float,
) -> Tensor:
    """(tasks,): how far each task's logits are from those `teacher_logits`, weighted, over all rows.

    The divergence of the probabilities from the teacher's, both softened by the temperature, times
    its square, by which the gradients stay as large (Hinton, Vinyals & Dean, Distilling the
    Knowledge in a Neural Network, 2015): of a multiclass task in nats, of a binary task and of
    each class of a multilabel one the cross-entropy. Of a regression the squared error.
    """
    return torch.stack(
        [
            (
                _soft_target_loss(task, logits[task.name], teacher_logits[task.name], temperature)
                * weight
            ).sum()
            for task in tasks
        ]
    )


def _soft_target_loss(
    task: TaskSpec, logits: Tensor, teacher_logits: Tensor, temperature: float
) -> Tensor:
    """(B,): of each row."""
    said, wanted = logits.float(), teacher_logits.float()
    if task.kind == "regression":
        return (said - wanted) ** 2
    said, wanted = said / temperature, wanted / temperature
    if task.kind == "multiclass":
        both = said.log_softmax(-1), wanted.log_softmax(-1)
        found = F.kl_div(*both, reduction="none", log_target=True)
    else:
        found = F.binary_cross_entropy_with_logits(said, wanted.sigmoid(), reduction="none")
    return found.view(len(found), -1).sum(1) * temperature**2


class DistillationObjective(SupervisedObjective):
    """The labels where they are known, and of all rows what the teacher says of them.

    To the soft targets comes the cosine distance of the pooled text to the teacher's, which holds
    the encoder's space where it was (as Sanh et al., DistilBERT, 2019, do with hidden states). The
    teacher reads the same texts in evaluation mode; it is no part of the model, nor of checkpoints.
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
        hard = tuple(distillation.labels_weight * weight for weight in weights)
        soft = tuple(distillation.teacher_weight * weight for weight in weights)
        self.weights = (*hard, *soft, distillation.distance_weight)
        only = Stage("distil", True, plan.epochs, plan.batch_size, plan.negative_downsampling_rate)
        self.stages = (only,)

    def weight_sums(self, batch: TensorBatch) -> Tensor:
        """The weight of each task's known labels; for each task that of all its answers; and that
        of all rows."""
        rows = batch["weight"].sum()
        answers = torch.stack([rows * task.n_labels for task in self.tasks])
        return torch.cat([super().weight_sums(batch), answers, rows.view(1)])

    def loss_sums(self, model: ProfileModel, batch: TensorBatch, stage: Stage) -> Tensor:
        """Each task's loss by the labels, then by the teacher, and the distance."""
        asked = batch["token_ids"], batch["n_tokens"], batch["numeric"]
        with torch.no_grad():
            taught = self.teacher(*asked)
        said, weight, n_tokens = model(*asked), batch["weight"], batch["n_tokens"]
        smoothing = self.plan.label_smoothing
        hard = loss_sums(self.tasks, said.logits, batch["labels"], weight, smoothing)
        soft = soft_target_loss_sums(
            self.tasks, said.logits, taught.logits, weight, self.temperature
        )
        ours, theirs = (model.pool(out.hidden, n_tokens).float() for out in (said, taught))
        distance = (1 - F.cosine_similarity(ours, theirs)) * weight
        return torch.cat([hard, soft, distance.sum().view(1)])


def use_teacher_tasks(snapshot: Snapshot, teacher: ModelSpec, numeric: Sequence[str]) -> Snapshot:
    """The snapshot with the teacher's own tasks, which scale a regression as it was trained.

    Raises InputError where the teacher reads other inputs than `numeric` and what the snapshot
    holds, or answers otherwise.
    """
    found, wanted = ([(t.name, t.kind, t.classes) for t in of.tasks] for of in (snapshot, teacher))
    changed = ["tasks"] if found != wanted else []
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
    """Fit the model that lies in the job's folder to its tasks and to what its teacher says."""

    teacher: str = ""  # the folder of a model, on a path that all ranks share
    distillation: DistillationOptions = DistillationOptions(1.0, 1.0, 1.0, 1.0)

    def make_objective(
        self, tasks: Sequence[TaskSpec], augmenter: Augmenter | None, device: torch.device
    ) -> Objective:
        """What is minimised: the distance to labels and teacher."""
        teacher, _, _ = load_model(self.teacher)
        given = tasks, self.weights, self.plan, augmenter
        return DistillationObjective(*given, teacher.to(device), self.distillation)
