"""Score items by their popularity in the user's contexts."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.arrays.types import Longs
from profile_lib.recommend.candidates.shared.top_k import build_sparse_rows, top_k
from profile_lib.recommend.candidates.source import CandidateSource
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.data.requests import Requests


@dataclass(frozen=True)
class ContextPopularity(CandidateSource):
    """The base class of sources that propose items popular in a context.

    `shares`: (n_values + 1, n_items), the popularity of items per value of each context, and in all
    contexts together in the last row. `first_row`: (c,), the row of each context's first value.
    `trust`: (n_values + 1,), from 0 to 1, the weight of each row for users with that value; the
    last row has the remaining weight. No single item explains a candidate.
    """

    shares: sparse.csr_array
    first_row: Longs
    trust: np.ndarray

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return each item's popularity, averaged over the user's known contexts.

        Users with equal contexts are scored once.
        """
        contexts = requests.contexts[:, : len(self.first_row)]  # none if fitted without contexts
        key = np.zeros(len(contexts), np.int64)  # comparing rows would be slow
        for value in contexts.T:
            key = key * (value.max(initial=0) + 2) + value - MISSING
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        top = top_k(self._row_weights(contexts[first]) @ self.shares, k)
        is_one_user = len(group) == len(first) == 1
        return top if is_one_user else sparse.csr_array(top[group.ravel()])

    def _row_weights(self, contexts: Longs) -> sparse.csr_array:
        """Return the weights of the rows of `shares`, (n, n_values + 1), by context."""
        n = len(contexts)
        user, context = np.nonzero(contexts != MISSING)
        row = self.first_row[context] + contexts[user, context]
        value_weight = self.trust[row] / np.maximum(np.bincount(user, minlength=n), 1)[user]
        last_row_weight = 1 - np.bincount(user, value_weight, n)
        rows = np.append(row, np.full(n, self.shares.shape[0] - 1))
        users = np.append(user, np.arange(n))
        order = np.argsort(users, kind="stable")
        weights = np.append(value_weight, last_row_weight).astype(np.float32)[order]
        shape = (n, self.shares.shape[0])
        return build_sparse_rows(weights, rows[order], np.bincount(users), shape)
