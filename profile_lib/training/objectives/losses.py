"""Logits and labels in, each task's loss as a sum and the weight it is to be divided by."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from profile_lib.model.tasks import TaskSpec, slice_label_columns


def known_label_weights(tasks: Sequence[TaskSpec], labels: Tensor, weight: Tensor) -> Tensor:
    """(B, L) labels, (B,) weights → (tasks,): the weight of the labels that are known."""
    known = ~labels.isnan() * weight.unsqueeze(1)
    return torch.stack([known[:, columns].sum() for _, columns in slice_label_columns(tasks)])


def loss_sums(
    tasks: Sequence[TaskSpec],
    logits: dict[str, Tensor],
    labels: Tensor,
    weight: Tensor,
    smoothing: float = 0.0,
) -> Tensor:
    """(tasks,): each task's loss, weighted and summed over its known labels.

    The loss is the cross-entropy in nats, of a regression the squared error of the standardised
    label. Divided by `known_label_weights`, both summed over all ranks, it is the mean over the global
    batch. Rows that stand for several (negatives of which a share was kept) count as many times:
    unlike a correction of the logit, that leaves the probabilities of every task calibrated, also
    of those by which the rows were not sampled. `smoothing` is the share of a label that is spread
    evenly over the classes (Szegedy et al., Rethinking the Inception Architecture, 2016).
    """
    return torch.stack(
        [
            _sum(task, logits[task.name].float(), labels[:, columns], weight, smoothing)
            for task, columns in slice_label_columns(tasks)
        ]
    )


def _sum(
    task: TaskSpec, scores: Tensor, labels: Tensor, weight: Tensor, smoothing: float
) -> Tensor:
    known = ~labels.isnan()
    given = labels.nan_to_num(0.0)
    if task.kind == "multiclass":
        loss = F.cross_entropy(
            scores, given[:, 0].long(), reduction="none", label_smoothing=smoothing
        ).unsqueeze(1)
    elif task.kind == "regression":
        loss = (scores.unsqueeze(1) - (given - task.center) / task.scale) ** 2
    else:
        loss = F.binary_cross_entropy_with_logits(
            scores.view(given.shape), given * (1 - smoothing) + smoothing / 2, reduction="none"
        )
    return (torch.where(known, loss, torch.zeros_like(loss)) * weight.unsqueeze(1)).sum()
