"""Encode raw numeric features and categories as a vector.

The encoder treats no feature by its name. Which features are logged, and where their bins lie, is
fitted on the train split and stored with the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

BEYOND_ALL_BINS = 1e30  # larger than any bin's edge; its negative stands for unknown values
MAX_Z_SCORE = 5.0  # in standard deviations; values further from the mean are clipped to it


@dataclass(frozen=True)
class NumericStatistics:
    """Statistics of one feature in the train split.

    If the feature is logged, the mean, the deviation and the edges are those of its signed
    logarithm.
    """

    name: str
    is_logged: bool
    mean: float
    deviation: float
    edges: tuple[float, ...]  # ascending; two or more if the feature varies


class NumericEncoder(nn.Module):
    """An encoder of numbers and category codes as vectors.

    It maps F numbers and K codes, (B, F + K), to vectors (B, J).

    A heavy-tailed feature is read as sign(x) · log(1 + |x|). Every feature is standardised; an
    unknown one (NaN) becomes 0 and sets a flag. Its piecewise-linear encoding follows: one
    component per bin, 0 below the bin, 1 above it, linear within (Gorishniy, Rubachev & Babenko,
    On Embeddings for Numerical Features in Tabular Deep Learning, 2022). The last
    `n_vector_numbers` of the F numbers are components of vectors, and are not binned. Each category
    code, an index into the list of known values, selects a learned vector. The output is the sum of
    a linear layer and an MLP. All statistics are buffers, so that training and inference cannot
    differ.
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
    ) -> None:
        super().__init__()
        self.n_features, self.category_sizes = n_features, category_sizes
        self.n_binned = n_features - n_vector_numbers
        self.categories = nn.ModuleList(  # the last vector, of unknown values, is zero
            nn.Embedding(n + 1, choose_category_size(n), padding_idx=n) for n in category_sizes
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
        """Store the train split's statistics; edges are thinned out to the model's bins."""
        bins = self.lower.shape[1]
        for i, feature in enumerate(statistics):
            self.is_logged[i] = float(feature.is_logged)
            self.mean[i] = feature.mean
            self.deviation[i] = feature.deviation if feature.deviation > 0 else 1.0
            edges = thin_edges(feature.edges, bins + 1) if i < self.n_binned else []
            n = len(edges) - 1
            scaled = (torch.tensor(edges).double() - feature.mean) / float(self.deviation[i])
            if n > 0:
                self.lower[i, :n] = scaled[:-1].float()
                self.width[i, :n] = (scaled[1:] - scaled[:-1]).float().clamp(min=1e-6)
                self.is_bin[i, :n] = 1.0

    def encode(self, numeric: Tensor) -> Tensor:
        """Encode raw numbers (B, F) as (B, 2 F + binned features · bins).

        The columns are the standardised values, the flags of unknown values, and the bins.
        """
        is_missing = numeric.isnan()
        logged = numeric.sign() * numeric.abs().log1p()
        z = (torch.where(self.is_logged > 0, logged, numeric) - self.mean) / self.deviation
        z = z.clamp_(-BEYOND_ALL_BINS, BEYOND_ALL_BINS)
        binned = z[:, : self.n_binned].masked_fill(is_missing[:, : self.n_binned], -BEYOND_ALL_BINS)
        bins = (binned.unsqueeze(-1) - self.lower).mul_(self.is_bin / self.width).clamp_(0, 1)
        z = z.masked_fill(is_missing, 0.0).clamp_(-MAX_Z_SCORE, MAX_Z_SCORE)
        return torch.cat([z, is_missing.to(z.dtype), bins.flatten(1)], dim=1)

    def forward(self, numeric: Tensor) -> Tensor:
        """Return vectors (B, J) of numbers and codes (B, F + K), NaN if unknown."""
        parts = [self.encode(numeric[:, : self.n_features])]
        for i, vectors in enumerate(self.categories):
            code = numeric[:, self.n_features + i].nan_to_num(self.category_sizes[i])
            parts.append(vectors(code.long()))
        inputs = torch.cat(parts, dim=1)
        return self.wide(inputs) + self.deep(inputs)


def choose_category_size(n_values: int) -> int:
    """Return the length of a category's vectors: half its number of values, at most 16.

    >>> [choose_category_size(n) for n in (1, 3, 100)]
    [1, 2, 16]
    """
    return min(16, (n_values + 1) // 2)


def thin_edges(edges: Sequence[float], max_edges: int) -> list[float]:
    """Keep at most `max_edges` of the ascending edges, evenly spread, with both ends.

    >>> thin_edges([0, 1, 2, 3, 4], 3)
    [0, 2, 4]
    """
    if len(edges) <= max_edges:
        return list(edges)
    return [edges[i] for i in np.linspace(0, len(edges) - 1, max_edges).round().astype(int)]
