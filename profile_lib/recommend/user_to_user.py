"""Items of the users most like a user, among a bounded number of those who came last.

Ludewig & Jannach (2018) find neighbours by sessions so; the bound is theirs as well.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from profile_lib.recommend.sources import Asked, strongest_step
from profile_lib.recommend.top import best
from profile_lib.segments import Floats, Longs


def _cosine(both: Floats, own: Floats, other: Floats, _n_items: int) -> Floats:
    return both / np.sqrt(own * other)


def _jaccard(both: Floats, own: Floats, other: Floats, _n_items: int) -> Floats:
    return both / (own + other - both)


def _pearson(both: Floats, own: Floats, other: Floats, n_items: int) -> Floats:
    spread = own * (1 - own / n_items) * other * (1 - other / n_items)
    return (both - own * other / n_items) / np.sqrt(spread)


SIMILARITIES = {"cosine": _cosine, "jaccard": _jaccard, "pearson": _pearson}


@dataclass(frozen=True)
class UserToUser:
    """`met`: (n_others, n_items), 1 where one of the others met an item."""

    met: sparse.csr_array
    similarity: str
    n_neighbours: int
    decay: float

    @cached_property
    def _of_item(self) -> sparse.csr_array:
        return sparse.csr_array(self.met.T)

    @cached_property
    def _n_met(self) -> Floats:
        return np.asarray(self.met.sum(axis=1)).ravel()

    def scores(self, asked: Asked, k: int) -> sparse.csr_array:
        """Of each candidate the sum of the similarities of those neighbours who met it."""
        steps = asked.histories
        n_items = self.met.shape[1]
        own = steps.matrix(np.ones(len(steps.of), np.float32), n_items)
        own.data[:] = 1
        both = sparse.csr_array(own @ self._of_item)
        user = np.repeat(np.arange(steps.n), np.diff(both.indptr))
        n_own = np.diff(own.indptr).astype(np.float64)[user]
        like = SIMILARITIES[self.similarity](both.data, n_own, self._n_met[both.indices], n_items)
        # A neighbour whose items are the user's last ones says more.
        last = steps.matrix(np.float32(self.decay) ** steps.steps_ago, n_items) @ self._of_item
        both.data = (like * np.asarray(last[user, both.indices]).ravel()).astype(np.float32)
        both.data[~(both.data > 0)] = -np.inf
        return best(best(both, self.n_neighbours) @ self.met, k)

    def because(self, asked: Asked, user: Longs, item: Longs) -> Longs:
        """The step whose item most of those met who met the candidate."""
        steps = asked.histories
        rows = np.unique(np.append(steps.items, item))
        some = self._of_item[rows]
        together = sparse.csr_array(some @ some.T).tocoo()
        near = sparse.csr_array(
            (together.data, (rows[together.row], rows[together.col])),
            shape=(self.met.shape[1], self.met.shape[1]),
        )
        return strongest_step(steps, user, item, np.ones(len(steps.of), np.float32), near)
