"""A pooled text and a vector of numbers in, the interest vector and the tasks' logits out."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """A linear answer plus what an MLP of one hidden layer adds: (B, J) → (B, n).

    With the linear path of the numbers this holds a logistic regression (the wide part of Cheng
    et al., Wide & Deep Learning for Recommender Systems, 2016).
    """

    def __init__(self, size: int, n_outputs: int, dropout: float):
        super().__init__()
        self.wide = nn.Linear(size, n_outputs)
        self.deep = nn.Sequential(
            nn.GELU(),
            nn.Linear(size, size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(size, n_outputs),
        )

    def forward(self, vector: Tensor) -> Tensor:
        """The logits."""
        return self.wide(vector) + self.deep(vector)


class Heads(nn.Module):
    """The interest vector is the numbers' vector plus what the text adds, with a head a task.

    The text's part begins at zero (as in Zhang et al., Fixup Initialization, 2019, the last layer
    of a residual branch), so that a model whose numbers are trained first goes on from there and
    the encoder learns what the numbers miss. It sees the numbers as well, so that the two may
    interact. Without a `pooled_size` there is no text.
    """

    def __init__(
        self, pooled_size: int | None, size: int, outputs: Mapping[str, int], dropout: float
    ):
        super().__init__()
        if pooled_size is not None:
            self.norm = nn.LayerNorm(pooled_size)
            self.text = nn.Sequential(
                nn.Linear(pooled_size + size, size), nn.GELU(), nn.Dropout(dropout)
            )
            self.added = nn.Linear(size, size)
            nn.init.zeros_(self.added.weight)
            nn.init.zeros_(self.added.bias)
        self.tasks = nn.ModuleDict({name: Head(size, n, dropout) for name, n in outputs.items()})

    def forward(self, pooled: Tensor | None, numbers: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, H) and (B, J) → the vector (B, J) and logits (B,) or (B, C); no text: `None`."""
        vector = numbers
        if pooled is not None:
            text = self.text(torch.cat([self.norm(pooled), numbers], dim=1))
            vector = numbers + self.added(text)
        logits = {name: head(vector) for name, head in self.tasks.items()}
        return vector, {n: x.squeeze(1) if x.shape[1] == 1 else x for n, x in logits.items()}
