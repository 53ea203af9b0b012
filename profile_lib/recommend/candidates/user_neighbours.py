"""Propose items of the users with the most similar histories.

The neighbours are searched among the most recent users of each item, as Ludewig & Jannach (2018)
do for sessions.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.types import Floats, Longs
from profile_lib.config.section import Count, Decay, Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.explanations import most_similar_item
from profile_lib.recommend.candidates.shared.similarities import SIMILARITIES, Similarity
from profile_lib.recommend.candidates.shared.top_k import build_sparse_rows, top_k
from profile_lib.recommend.candidates.source import CandidateSource, SourceData
from profile_lib.recommend.data.requests import Requests

MIN_WEIGHT = 1e-30  # the lowest weight of a step: a sparse matrix does not store a weight of 0


class UserNeighboursSettings(Section):
    """How neighbours are chosen."""

    similarity: Similarity
    max_users: Count  # most recent users, among whom neighbours are searched
    n_neighbours: Count
    max_users_per_item: Count  # most recent users of an item, who are compared
    decay: Decay


@candidate_source("user_neighbours", UserNeighboursSettings)
@dataclass(frozen=True)
class UserNeighbours(CandidateSource):
    """Items of the `n_neighbours` most similar users.

    `interactions`: (n_others, n_items), 1 if a user interacted with an item, the most recent user
    first. The first `max_users_per_item` users of an item are compared.
    """

    interactions: sparse.csr_array
    similarity: str
    n_neighbours: int
    max_users_per_item: int
    decay: float

    default_reason = "others who looked at {item} liked it"

    @classmethod
    def fit(cls, data: SourceData, settings: UserNeighboursSettings) -> "UserNeighbours":
        """Fit the interactions of the `max_users` most recent users."""
        recent_first = data.histories.orderBy(F.element_at("seconds", -1).desc(), "user_id")
        recent = recent_first.select("items").limit(settings.max_users).toArrow().combine_chunks()
        lists = recent["items"].combine_chunks()
        cells = (lists.value_parent_indices().to_numpy(), lists.flatten().to_numpy())
        ones = np.ones(len(cells[0]), np.float32)
        interactions = sparse.csr_array((ones, cells), shape=(len(lists), data.n_items))
        interactions.data[:] = 1  # an item that a user has several times counts once
        return cls(
            interactions,
            settings.similarity,
            settings.n_neighbours,
            settings.max_users_per_item,
            settings.decay,
        )

    @cached_property
    def _users_of_item(self) -> sparse.csr_array:
        """The users of each item, (n_items, n_others), at most `max_users_per_item` in a row."""
        users = sparse.csr_array(self.interactions.T)
        position = np.arange(users.nnz) - np.repeat(users.indptr[:-1], np.diff(users.indptr))
        is_first = position < self.max_users_per_item
        lengths = np.minimum(np.diff(users.indptr), self.max_users_per_item)
        return build_sparse_rows(
            users.data[is_first], users.indices[is_first], lengths, users.shape
        )

    @cached_property
    def _n_interacted(self) -> Floats:
        """The number of items of each user, (n_others,)."""
        return np.asarray(self.interactions.sum(axis=1)).ravel()

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the sum of similarities of the neighbours who interacted with each item."""
        neighbours = top_k(self._similarities(requests), self.n_neighbours)
        return top_k(neighbours @ self.interactions, k)

    def _similarities(self, requests: Requests) -> sparse.csr_array:
        """Return the similarity to each other user times the recency of shared items.

        The result is (n, n_others), minus infinity for values that are not above 0. The recency
        weights neighbours who share the user's last items more.
        """
        steps = requests.histories
        n_items = self.interactions.shape[1]
        interacted = steps.matrix(np.ones(len(steps.user), np.float32), n_items)
        interacted.data[:] = 1
        recency = np.maximum(np.float32(self.decay) ** steps.steps_ago, np.float32(MIN_WEIGHT))
        shared = sparse.csr_array(interacted @ self._users_of_item)
        recent = sparse.csr_array(steps.matrix(recency, n_items) @ self._users_of_item)
        assert np.array_equal(shared.indices, recent.indices)  # both have the same cells
        n_items_of_user = np.diff(interacted.indptr).astype(np.float64)
        numerator, denominator = SIMILARITIES[self.similarity](
            shared.data,
            np.repeat(n_items_of_user, np.diff(shared.indptr)),
            self._n_interacted[shared.indices],
            n_items,
            np.sqrt,
        )
        shared.data = (numerator / denominator * recent.data).astype(np.float32)
        shared.data[~(shared.data > 0)] = -np.inf
        return shared

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """Return the item of the history that has most users in common with the candidate."""
        steps = requests.histories
        rows = np.unique(np.append(steps.items, item))
        users = self._users_of_item[rows]
        shared = sparse.csr_array(users @ users.T).tocoo()
        cells = (shared.data, (rows[shared.row], rows[shared.col]))
        n_items = self.interactions.shape[1]
        n_shared = sparse.csr_array(cells, shape=(n_items, n_items))
        return most_similar_item(steps, user, item, np.ones(len(steps.user), np.float32), n_shared)
