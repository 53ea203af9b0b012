"""Logits and labels in, each task's loss as a sum and the weight it is to be divided by."""

import torch
from torch import Tensor
from torch.nn import functional as F

from profile_lib.model.encoder import TaskSpec


def loss_weights(labels: Tensor, weight: Tensor) -> Tensor:
    """(B, tasks) labels, (B,) weights → (tasks,): the weight of the rows whose label is known."""
    return ((labels >= 0) * weight.unsqueeze(1)).sum(0)


def loss_sums(
    tasks: tuple[TaskSpec, ...], logits: dict[str, Tensor], labels: Tensor, weight: Tensor
) -> Tensor:
    """(tasks,): each task's cross-entropy in nats, weighted and summed over its known labels.

    Divided by `loss_weights`, both summed over all ranks, it is the mean over the global batch.
    Rows that stand for several (negatives of which a share was kept) count as many times: unlike
    a correction of the logit, that leaves the probabilities of every task calibrated, also of
    those by which the rows were not sampled.
    """
    sums = []
    for i, task in enumerate(tasks):
        label, scores = labels[:, i], logits[task.name].float()
        known = label >= 0
        if task.kind == "binary":
            target = label.clamp(min=0).to(scores.dtype)
            loss = F.binary_cross_entropy_with_logits(scores, target, reduction="none")
        else:
            loss = F.cross_entropy(scores, label.clamp(min=0), reduction="none")
        sums.append((torch.where(known, loss, torch.zeros_like(loss)) * weight).sum())
    return torch.stack(sums)
