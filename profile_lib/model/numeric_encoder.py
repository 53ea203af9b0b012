"""Raw numeric features and categories in, a vector out; their statistics are part of the model.

Knows no feature by name: what is logged, and where the bins lie, comes from the train split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

BEYOND_ALL_BINS = 1e30  # beyond all bins; an unknown value is below them
MAX_Z_SCORE = 5.0  # standard deviations: what lies further out counts as being there


@dataclass(frozen=True)
class NumericStatistics:
    """Of one feature in the train split; mean, deviation and edges are after the logarithm."""

    name: str
    is_logged: bool
    mean: float
    deviation: float
    edges: tuple[float, ...]  # ascending, two or more where the feature varies


class NumericEncoder(nn.Module):
    """Standardise, bin piecewise linearly, then a linear map plus an MLP: (B, F + K) → (B, J).

    A heavy-tailed feature is taken as sign(x) · log(1 + |x|); every feature is standardised, an
    unknown one (NaN) becomes 0 and raises a flag. Beside the standardised value stands its
    piecewise-linear encoding: one component a bin, 0 below the bin, 1 above it, linear within
    (Gorishniy, Rubachev & Babenko, On Embeddings for Numerical Features in Tabular Deep Learning,
    2022), but for the last `n_vector_numbers`, which are parts of vectors. All of it are buffers, so that
    training and inference cannot differ. The K categories behind the numbers are positions in lists
    of known values, each with a vector that is learned.
    """

    is_logged: Tensor
    mean: Tensor
    deviation: Tensor
    lower: Tensor
    width: Tensor
    is_bin: Tensor

    def __init__(
        self,
        n_features: int,
        bins: int,
        hidden: int,
        size: int,
        dropout: float,
        category_sizes: Sequence[int] = (),
        n_vector_numbers: int = 0,
    ):
        super().__init__()
        self.n_features, self.category_sizes = n_features, category_sizes
        self.n_binned = n_features - n_vector_numbers
        self.categories = nn.ModuleList(  # the last vector is that of the unknown
            nn.Embedding(n + 1, choose_category_size(n)) for n in category_sizes
        )
        widths = sum(choose_category_size(n) for n in category_sizes)
        self.register_buffer("is_logged", torch.zeros(n_features))
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("deviation", torch.ones(n_features))
        self.register_buffer("lower", torch.zeros(self.n_binned, bins))
        self.register_buffer("width", torch.ones(self.n_binned, bins))
        self.register_buffer("is_bin", torch.zeros(self.n_binned, bins))
        n_inputs = 2 * n_features + bins * self.n_binned + widths
        self.wide = nn.Linear(n_inputs, size)
        self.deep = nn.Sequential(
            nn.Linear(n_inputs, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, size),
        )

    def set_statistics(self, statistics: Sequence[NumericStatistics]) -> None:
        """Take the statistics of the train split; edges beyond the model's bins are thinned out."""
        bins = self.lower.shape[1]
        for i, of in enumerate(statistics):
            self.is_logged[i] = float(of.is_logged)
            self.mean[i] = of.mean
            self.deviation[i] = of.deviation if of.deviation > 0 else 1.0
            edges = thin_edges(of.edges, bins + 1) if i < self.n_binned else []
            n = len(edges) - 1
            scaled = (torch.tensor(edges).double() - of.mean) / float(self.deviation[i])
            if n > 0:
                self.lower[i, :n] = scaled[:-1].float()
                self.width[i, :n] = (scaled[1:] - scaled[:-1]).float().clamp(min=1e-6)
                self.is_bin[i, :n] = 1.0

    def encode(self, numeric: Tensor) -> Tensor:
        """(B, F) raw → (B, 2 F + binned · bins): standardised value, flag of the unknown, bins."""
        is_missing = numeric.isnan()
        logged = numeric.sign() * numeric.abs().log1p()
        z = (torch.where(self.is_logged > 0, logged, numeric) - self.mean) / self.deviation
        z = z.clamp_(-BEYOND_ALL_BINS, BEYOND_ALL_BINS)
        binned = z[:, : self.n_binned].masked_fill(is_missing[:, : self.n_binned], -BEYOND_ALL_BINS)
        bins = (binned.unsqueeze(-1) - self.lower).mul_(self.is_bin / self.width).clamp_(0, 1)
        z = z.masked_fill(is_missing, 0.0).clamp_(-MAX_Z_SCORE, MAX_Z_SCORE)
        return torch.cat([z, is_missing.to(z.dtype), bins.flatten(1)], dim=1)

    def forward(self, numeric: Tensor) -> Tensor:
        """(B, F + K) raw numbers and positions, NaN where unknown → (B, size)."""
        parts = [self.encode(numeric[:, : self.n_features])]
        for i, vectors in enumerate(self.categories):
            position = numeric[:, self.n_features + i].nan_to_num(self.category_sizes[i])
            parts.append(vectors(position.long()))
        inputs = torch.cat(parts, dim=1)
        return self.wide(inputs) + self.deep(inputs)


def choose_category_size(n_values: int) -> int:
    """Numbers in the vector of a category of so many values: half as many, 16 at most.

    >>> [choose_category_size(n) for n in (1, 3, 100)]
    [1, 2, 16]
    """
    return min(16, (n_values + 1) // 2)


def thin_edges(edges: Sequence[float], max_edges: int) -> list[float]:
    """At most `max_edges` of the ascending edges, evenly chosen, the first and last among them.

    >>> thin_edges([0, 1, 2, 3, 4], 3)
    [0, 2, 4]
    """
    if len(edges) <= max_edges:
        return list(edges)
    return [edges[i] for i in np.linspace(0, len(edges) - 1, max_edges).round().astype(int)]
