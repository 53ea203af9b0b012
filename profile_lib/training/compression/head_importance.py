"""Measure how much each attention head matters to the loss."""

from collections.abc import Iterable

import torch
from torch import Tensor

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.pruning import count_heads, mask_heads
from profile_lib.training.data.batches import Batch
from profile_lib.training.objectives.supervised import Objective


def head_importance(
    model: ProfileModel, objective: Objective, batches: Iterable[Batch], device: torch.device
) -> list[Tensor]:
    """Measure each head's importance: a tensor (heads,) per layer.

    It is the absolute gradient of the loss with respect to the head's mask, summed over all rows:
    how much the loss would change if the head contributed a little less (Michel, Levy & Neubig, Are
    Sixteen Heads Really Better than One?, 2019, equation 2). The loss is that of the objective's
    last stage, in evaluation mode; no weight changes.
    """
    model = model.to(device).eval().requires_grad_(False)
    bert = model.bert
    assert bert is not None
    weights = torch.tensor(objective.weights, device=device)
    stage = objective.stages[-1]
    importances = [torch.zeros(n, device=device) for n in count_heads(bert)]
    for number, batch in enumerate(batches):
        prepared = objective.prepare(batch, (0, number), stage)
        tensors = {name: torch.from_numpy(values).to(device) for name, values in prepared.items()}
        with mask_heads(bert, len(tensors["weight"])) as masks:
            sums = objective.loss_sums(model, tensors, stage)
            loss = (weights * sums / objective.weight_sums(tensors).clamp(min=1e-6)).sum()
            for layer, slope in zip(importances, torch.autograd.grad(loss, masks), strict=True):
                layer += slope.abs().sum(0)
    return [layer.cpu() for layer in importances]
