"""A model and batches in, how much each attention head matters out."""

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
    """(heads,) a layer: the size of the loss's gradient by the head's mask, summed over the rows.

    How much a row's loss would change if the head said a little less of it (Michel, Levy & Neubig,
    Are Sixteen Heads Really Better than One?, 2019, equation 2). The loss is that of the
    objective's last stage, in evaluation mode; no weight is moved.
    """
    model = model.to(device).eval().requires_grad_(False)
    bert = model.bert
    assert bert is not None
    weights = torch.tensor(objective.weights, device=device)
    stage = objective.stages[-1]
    found = [torch.zeros(n, device=device) for n in count_heads(bert)]
    for number, batch in enumerate(batches):
        prepared = objective.prepare(batch, (0, number), stage)
        given = {name: torch.from_numpy(values).to(device) for name, values in prepared.items()}
        with mask_heads(bert, len(given["weight"])) as masks:
            sums = objective.loss_sums(model, given, stage)
            loss = (weights * sums / objective.weight_sums(given).clamp(min=1e-6)).sum()
            for of, slope in zip(found, torch.autograd.grad(loss, masks), strict=True):
                of += slope.abs().sum(0)
    return [of.cpu() for of in found]
