"""Sum the losses of prediction tasks, and their weights, over a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from profile_lib.model.tasks import TaskSpec, slice_label_columns


def known_label_weights(tasks: Sequence[TaskSpec], labels: Tensor, weight: Tensor) -> Tensor:
    """Return each task's weight of known labels, (tasks,), from labels (B, L) and weights (B,)."""
    known = ~labels.isnan() * weight.unsqueeze(1)
    return torch.stack([known[:, columns].sum() for _, columns in slice_label_columns(tasks)])


def loss_sums(
    tasks: Sequence[TaskSpec],
    logits: dict[str, Tensor],
    labels: Tensor,
    weight: Tensor,
    smoothing: float = 0.0,
) -> Tensor:
    """Return each task's loss, (tasks,), weighted and summed over its known labels.

    Divided by `known_label_weights`, both summed over all processes, it is the mean over the
    global batch. A row's weight is the number of rows that it represents, more than 1 for a
    negative if only a share of them was sampled. Unlike a correction of the logit, weights keep the
    probabilities of all tasks calibrated, including tasks by which the rows were not sampled.
    `smoothing` is the share of a label that is spread evenly over the classes (Szegedy et al.,
    Rethinking the Inception Architecture, 2016).
    """
    return torch.stack(
        [
            _loss_sum(task, logits[task.name].float(), labels[:, columns], weight, smoothing)
            for task, columns in slice_label_columns(tasks)
        ]
    )


def _loss_sum(
    task: TaskSpec, logits: Tensor, labels: Tensor, weight: Tensor, smoothing: float
) -> Tensor:
    loss = task.definition.loss(task, logits, labels.nan_to_num(0.0), smoothing)
    known = ~labels.isnan()
    return (torch.where(known, loss, torch.zeros_like(loss)) * weight.unsqueeze(1)).sum()


def soft_target_loss_sums(
    tasks: Sequence[TaskSpec],
    logits: dict[str, Tensor],
    teacher_logits: dict[str, Tensor],
    weight: Tensor,
    temperature: float,
) -> Tensor:
    """Return each task's loss by the teacher's logits, (tasks,), weighted and summed over all rows.

    Logits are (B,) or (B, C) per task. `temperature` softens the probabilities of both models.
    """
    return torch.stack(
        [
            (
                task.definition.soft_target_loss(
                    logits[task.name].float(), teacher_logits[task.name].float(), temperature
                )
                * weight
            ).sum()
            for task in tasks
        ]
    )
