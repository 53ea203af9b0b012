"""Compute the interest vector and the tasks' logits from text and numbers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """The head of a task: a linear layer plus an MLP with one hidden layer.

    This linear layer and that of the numeric encoder form a logistic regression on the numbers (the
    wide part of Cheng et al., Wide & Deep Learning for Recommender Systems, 2016).
    """

    def __init__(self, size: int, n_outputs: int, dropout: float) -> None:
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
        """Return the logits (B, n) of vectors (B, J)."""
        return self.wide(vector) + self.deep(vector)


class Heads(nn.Module):
    """A residual branch that adds the text to the numbers, and the tasks' heads.

    The last layer of the branch starts at zero (as in Zhang et al., Fixup Initialization, 2019). A
    model whose numbers were trained first therefore continues from its predictions, and the encoder
    learns what the numbers miss. The branch reads the numbers as well, so that text and numbers may
    interact. A model that reads no text has no branch: its `pooled_size` is None.
    """

    def __init__(
        self, pooled_size: int | None, size: int, outputs: Mapping[str, int], dropout: float
    ) -> None:
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
        """Return the interest vector (B, J) and each task's logits, (B,) or (B, C).

        `pooled` is (B, H), or None to predict without text; `numbers` is (B, J).
        """
        vector = numbers
        if pooled is not None:
            text = self.text(torch.cat([self.norm(pooled), numbers], dim=1))
            vector = numbers + self.added(text)
        logits = {name: head(vector) for name, head in self.tasks.items()}
        return vector, {n: x.squeeze(1) if x.shape[1] == 1 else x for n, x in logits.items()}
