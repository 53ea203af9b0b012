"""Items of the users most like a user, among a bounded number of those who came last.

Ludewig & Jannach (2018) find neighbours by sessions so; the bound is theirs as well.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.candidates.source import Requests, most_similar_item
from profile_lib.recommend.candidates.top_k import build_sparse_rows, top_k

MIN_WEIGHT = 1e-30  # of a weight: 0 would be no step


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
    """`interactions`: (n_others, n_items), 1 where one of the others met an item, who came last first; of
    those who met an item the first `max_users_per_item` are looked at."""

    interactions: sparse.csr_array
    similarity: str
    n_neighbours: int
    max_users_per_item: int
    decay: float

    @cached_property
    def _of_item(self) -> sparse.csr_array:
        """(n_items, n_others)."""
        whole = sparse.csr_array(self.interactions.T)
        place = np.arange(whole.nnz) - np.repeat(whole.indptr[:-1], np.diff(whole.indptr))
        first = place < self.max_users_per_item
        n_of = np.minimum(np.diff(whole.indptr), self.max_users_per_item)
        return build_sparse_rows(whole.data[first], whole.indices[first], n_of, whole.shape)

    @cached_property
    def _n_interacted(self) -> Floats:
        return np.asarray(self.interactions.sum(axis=1)).ravel()

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Of each candidate the sum of the similarities of those neighbours who met it."""
        steps = requests.histories
        n_items = self.interactions.shape[1]
        own = steps.matrix(np.ones(len(steps.user), np.float32), n_items)
        own.data[:] = 1
        # A neighbour whose items are the user's last ones says more.
        lateness = np.maximum(np.float32(self.decay) ** steps.steps_ago, np.float32(MIN_WEIGHT))
        both = sparse.csr_array(own @ self._of_item)
        last = sparse.csr_array(steps.matrix(lateness, n_items) @ self._of_item)
        assert np.array_equal(both.indices, last.indices)  # of the same items
        n_own = np.repeat(np.diff(own.indptr).astype(np.float64), np.diff(both.indptr))
        like = SIMILARITIES[self.similarity](
            both.data, n_own, self._n_interacted[both.indices], n_items
        )
        both.data = (like * last.data).astype(np.float32)
        both.data[~(both.data > 0)] = -np.inf
        return top_k(top_k(both, self.n_neighbours) @ self.interactions, k)

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """The step whose item most of those met who met the candidate."""
        steps = requests.histories
        rows = np.unique(np.append(steps.items, item))
        some = self._of_item[rows]
        together = sparse.csr_array(some @ some.T).tocoo()
        near = sparse.csr_array(
            (together.data, (rows[together.row], rows[together.col])),
            shape=(self.interactions.shape[1], self.interactions.shape[1]),
        )
        return most_similar_item(steps, user, item, np.ones(len(steps.user), np.float32), near)
