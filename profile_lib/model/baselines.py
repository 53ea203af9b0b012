"""Join the network with models of numbers alone.

Trees and tables of weights are buffers of the model, so they are stored, moved to a device and
served with the network's weights, and nothing is pickled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from profile_lib.model.spec import BaselineSpec

MAX_LOGIT = 15.0  # of each model; one that is too sure would otherwise outweigh the others


class TreeArrays(NamedTuple):
    """The nodes of T trees, filled up to N nodes each.

    Node 0 is the root, and a leaf leads to itself. `feature`, `left`, `right` and `missing_left`
    are int64, the others float64.
    """

    feature: Tensor  # (T, N): the number that is compared
    threshold: Tensor  # (T, N): a number up to it leads to the left
    left: Tensor  # (T, N)
    right: Tensor  # (T, N)
    missing_left: Tensor  # (T, N): 1 if an unknown number leads to the left
    value: Tensor  # (T, N): what a leaf adds to the logit


class TreeEnsemble(nn.Module):
    """Boosted trees (Friedman, Greedy Function Approximation, 2001): the sum of their leaves."""

    feature: Tensor

    def __init__(self, n_trees: int, n_nodes: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        for name in TreeArrays._fields:
            is_float = name in ("threshold", "value")
            data_type = torch.float64 if is_float else torch.int64
            self.register_buffer(name, torch.zeros(n_trees, n_nodes, dtype=data_type))

    def forward(self, numeric: Tensor) -> Tensor:
        """Return the logits (B,) of numbers and category codes (B, F), NaN if unknown."""
        n_trees, n_nodes = self.feature.shape
        arrays = TreeArrays(*(getattr(self, name).flatten() for name in TreeArrays._fields))
        first = torch.arange(n_trees, device=numeric.device) * n_nodes
        node = first.expand(len(numeric), n_trees)
        numbers = numeric.double()
        for _ in range(self.depth):
            x = numbers.gather(1, arrays.feature[node])
            goes_left = torch.where(
                x.isnan(), arrays.missing_left[node] > 0, x <= arrays.threshold[node]
            )
            node = first + torch.where(goes_left, arrays.left[node], arrays.right[node])
        return arrays.value[node].sum(1)


class BinnedLogistic(nn.Module):
    """A logistic regression on intervals of each number: a weight per number and interval.

    Interval 0 is below the first edge, the last one is of unknown values.
    """

    edges: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, n_features: int, n_edges: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.full((n_features, n_edges), torch.inf).double())
        self.register_buffer("weight", torch.zeros(n_features, n_edges + 2).double())
        self.register_buffer("bias", torch.zeros(()).double())

    def forward(self, numeric: Tensor) -> Tensor:
        """Return the logits (B,) of numbers and category codes (B, F), NaN if unknown."""
        return self.weight.gather(1, self.find_intervals(numeric)).sum(0) + self.bias

    def find_intervals(self, numeric: Tensor) -> Tensor:
        """Return the interval (F, B) of each number: the count of edges below it."""
        numbers = numeric.double().T.contiguous()
        interval = torch.searchsorted(self.edges, numbers.nan_to_num(0.0))
        return torch.where(numbers.isnan(), self.edges.shape[1] + 1, interval)


class TaskBaselines(nn.Module):
    """A binary task's baselines, and the weights that join them with the network."""

    weight: Tensor
    bias: Tensor

    def __init__(self, spec: BaselineSpec, n_features: int) -> None:
        super().__init__()
        self.spec = spec
        self.trees = TreeEnsemble(spec.n_trees, spec.n_nodes, spec.depth)
        self.logistic = BinnedLogistic(n_features, spec.n_edges)
        self.register_buffer("weight", torch.zeros(3).double())  # network, trees, logistic
        self.register_buffer("bias", torch.zeros(()).double())

    def set_weights(self, weight: np.ndarray, bias: float) -> None:
        """Set the weights of network, trees and logistic regression, and the bias."""
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.fill_(bias)

    def forward(self, logit: Tensor, numeric: Tensor) -> Tensor:
        """Return the final logit (B,) from the network's, (B,), and the numbers (B, F)."""
        baselines = [self.trees(numeric), self.logistic(numeric)]
        return join_logits(torch.stack([logit.double(), *baselines]), self.weight, self.bias)


def join_logits(logits: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the weighted sum (B,) of the logits (models, B) of several models."""
    return weight @ logits.clamp(-MAX_LOGIT, MAX_LOGIT) + bias


def build_baselines(specs: Sequence[BaselineSpec], n_features: int) -> nn.ModuleDict:
    """Return empty baselines of these sizes by task, for weights to be loaded."""
    return nn.ModuleDict({spec.task: TaskBaselines(spec, n_features) for spec in specs})
