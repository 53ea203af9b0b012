"""The last steps of users in, scores of all items as the next one out: a small transformer.

SASRec (Kang & McAuley 2018): a causal transformer over the items met, scored against the items'
own vectors. Trained in `sasrec_training.py`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.candidates.source import MISSING, Requests
from profile_lib.recommend.candidates.top_k import top_k_dense
from profile_lib.recommend.data.histories import Histories

INIT_STD = 0.02  # of the weights at first


@dataclass(frozen=True)
class SasrecShape:
    """`max_steps`: how many of a user's last steps are read."""

    n_items: int
    max_steps: int
    width: int
    layers: int
    heads: int
    dropout: float


class SASRec(nn.Module):
    """A Source; in evaluation mode after it was loaded or fitted."""

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
        """(n, steps, width): what follows each step, of (n, steps) items, oldest first.

        A step sees none after it, so what fills up a shorter row behind its steps changes nothing.
        """
        places = self.position_embeddings.weight[: items.shape[1]]
        return self.norm(self.blocks(self.dropout(self.items(items) + places)))

    def logits(self, vectors: Tensor) -> Tensor:
        """(m, n_items) of (m, width)."""
        return vectors @ self.items.weight.T

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """How likely the item is the next one; nothing where a user has no steps."""
        return top_k_dense(self.all_scores(requests), k)

    @torch.inference_mode()
    def all_scores(self, requests: Requests) -> Floats:
        """(n, n_items), minus infinity where a user has no steps."""
        items, n_steps = last_steps(requests.histories, self.shape.max_steps)
        known = np.flatnonzero(n_steps)
        scores = np.full((len(items), self.shape.n_items), -np.inf, np.float32)
        if len(known):
            vectors = self(torch.from_numpy(items[known]).to(self.items.weight.device))
            last = vectors[np.arange(len(known)), n_steps[known] - 1]
            scores[known] = self.logits(last).cpu().numpy()
        return scores

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """No single item: all of them in their order."""
        return np.full(len(user), MISSING)


class Block(nn.Module):
    """Attention and a layer of its own for each step, both after a norm (Xiong et al. 2020)."""

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
        """(n, steps, width), of the same."""
        steps = steps + self.dropout(self._attend(self.before_attention(steps)))
        return steps + self.dropout(self.layer(self.before_layer(steps)))

    def _attend(self, steps: Tensor) -> Tensor:
        n, length, width = steps.shape
        parts = self.read(steps).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout.p * self.training
        )
        return self.write(seen.transpose(1, 2).reshape(n, length, width))


def last_steps(steps: Histories, max_steps: int) -> tuple[Longs, Longs]:
    """(n, most steps of one) items, each user's last `max_steps` at most, oldest first, filled up
    with 0 behind; and how many there are of each, (n,)."""
    kept = steps.steps_ago < max_steps
    of, items = steps.user[kept], steps.items[kept]
    n_steps = np.bincount(of, minlength=steps.n_users)
    rows = np.zeros((steps.n_users, n_steps.max(initial=0)), np.int64)
    rows[of, n_steps[of] - 1 - steps.steps_ago[kept]] = items
    return rows, n_steps
