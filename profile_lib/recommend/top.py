"""Scores of n users for all items in, each user's best items out: arrays, all users at once."""

import numpy as np
from scipy import sparse

from profile_lib.segments import Floats, Longs


def best(scores: sparse.csr_array, k: int) -> sparse.csr_array:
    """The k highest scores of each row, (n, n_items); equal ones by the items' numbers.

    What isn't stored is no candidate, whatever its score; a stored score that is no number, or
    minus infinity, isn't either.
    """
    user = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    item, score = scores.indices, scores.data
    known = score > -np.inf  # false for NaN
    user, item, score = user[known], item[known], score[known]
    order = np.lexsort((item, -score, user))
    user = user[order]
    place = np.arange(len(user)) - np.searchsorted(user, user)
    kept = order[place < k]
    n_of = np.bincount(user[place < k], minlength=scores.shape[0])
    indptr = np.concatenate([[0], np.cumsum(n_of)])
    return sparse.csr_array((score[kept], item[kept], indptr), shape=scores.shape)


def best_of_all(scores: Floats, k: int) -> sparse.csr_array:
    """As `best`, of scores for every item, (n, n_items)."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    k = min(k, scores.shape[1])
    least = np.partition(known, -k, axis=1)[:, -k]
    user, item = np.nonzero(known >= least[:, None])
    stored = sparse.csr_array((known[user, item], (user, item)), shape=scores.shape)
    return best(stored, k)


def without(scores: sparse.csr_array, user: Longs, item: Longs) -> sparse.csr_array:
    """The scores but those of these users for these items."""
    taken = sparse.csr_array((np.ones(len(user), bool), (user, item)), shape=scores.shape)
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    is_left = ~np.isin(rows * scores.shape[1] + scores.indices, _cells(taken))
    n_of = np.bincount(rows[is_left], minlength=scores.shape[0])
    indptr = np.concatenate([[0], np.cumsum(n_of)])
    return sparse.csr_array(
        (scores.data[is_left], scores.indices[is_left], indptr), shape=scores.shape
    )


def _cells(of: sparse.csr_array) -> Longs:
    rows = np.repeat(np.arange(of.shape[0]), np.diff(of.indptr))
    return rows * of.shape[1] + of.indices
