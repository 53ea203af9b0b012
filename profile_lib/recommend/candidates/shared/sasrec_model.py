"""Predict the next item by a small causal transformer, SASRec (Kang & McAuley 2018).

The module `sasrec_training` trains it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.data.histories import Histories

INIT_STD = 0.02  # standard deviation of the initial weights


@dataclass(frozen=True)
class SasrecShape:
    """The sizes of a model, which reads a user's last `max_steps` steps."""

    n_items: int
    max_steps: int
    width: int
    layers: int
    heads: int
    dropout: float


class SASRec(nn.Module):
    """A causal transformer over a user's steps, whose output layer is the items' embeddings."""

    def __init__(self, shape: SasrecShape) -> None:
        super().__init__()
        self.shape = shape
        self.items = nn.Embedding(shape.n_items, shape.width)
        self.position_embeddings = nn.Embedding(shape.max_steps, shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.Sequential(*[Block(shape) for _ in range(shape.layers)])
        self.norm = nn.LayerNorm(shape.width)
        for weights in (p for p in self.parameters() if p.dim() > 1):
            nn.init.normal_(weights, std=INIT_STD)

    def forward(self, items: Tensor) -> Tensor:
        """Return a vector of the next item after each step, (n, steps, width).

        `items`: (n, steps), oldest first. A step sees no later one, so the padding after the steps
        of a shorter row has no effect.
        """
        positions = self.position_embeddings.weight[: items.shape[1]]
        return self.norm(self.blocks(self.dropout(self.items(items) + positions)))

    def logits(self, vectors: Tensor) -> Tensor:
        """Score all items: (m, n_items) for vectors (m, width)."""
        return vectors @ self.items.weight.T

    @torch.inference_mode()
    def score_all(self, steps: Histories) -> Floats:
        """Return the scores of all items, (n, n_items), minus infinity for a user without steps."""
        items, n_steps = last_steps(steps, self.shape.max_steps)
        users = np.flatnonzero(n_steps)
        scores = np.full((len(items), self.shape.n_items), -np.inf, np.float32)
        if len(users):
            vectors = self(torch.from_numpy(items[users]).to(self.items.weight.device))
            last = vectors[np.arange(len(users)), n_steps[users] - 1]
            scores[users] = self.logits(last).cpu().numpy()
        return scores


class Block(nn.Module):
    """Attention and a feed-forward layer, normalised first (Xiong et al. 2020)."""

    def __init__(self, shape: SasrecShape) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.dropout = shape.heads, nn.Dropout(shape.dropout)
        self.before_attention, self.before_layer = nn.LayerNorm(width), nn.LayerNorm(width)
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layer = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), self.dropout, nn.Linear(4 * width, width)
        )

    def forward(self, steps: Tensor) -> Tensor:
        """Transform (n, steps, width)."""
        steps = steps + self.dropout(self._attend(self.before_attention(steps)))
        return steps + self.dropout(self.layer(self.before_layer(steps)))

    def _attend(self, steps: Tensor) -> Tensor:
        n, length, width = steps.shape
        parts = self.read(steps).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout.p * self.training
        )
        return self.write(attended.transpose(1, 2).reshape(n, length, width))


def last_steps(steps: Histories, max_steps: int) -> tuple[Longs, Longs]:
    """Return the items of each user's last steps, oldest first, and their number, (n,).

    At most `max_steps` steps are returned. The rows, (n, greatest number of steps), are padded with
    0 at the end.
    """
    is_last = steps.steps_ago < max_steps
    user, items = steps.user[is_last], steps.items[is_last]
    n_steps = np.bincount(user, minlength=steps.n_users)
    rows = np.zeros((steps.n_users, n_steps.max(initial=0)), np.int64)
    rows[user, n_steps[user] - 1 - steps.steps_ago[is_last]] = items
    return rows, n_steps
