"""Scores of n users for all items in, each user's best items out: arrays, all users at once."""

import numpy as np
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs, index_within_group

PARTITION_FROM = 4  # times as long as what is kept


def top_k(scores: sparse.csr_array, k: int) -> sparse.csr_array:
    """The k highest scores of each row, (n, n_items); equal ones by the items' numbers.

    What isn't stored is no candidate, whatever its score; a stored score that is no number, or
    minus infinity, isn't either.
    """
    n = scores.shape[0]
    user = np.repeat(np.arange(n), np.diff(scores.indptr))
    item, score = scores.indices, scores.data
    known = score >= _least(scores, k)[user]  # false for NaN
    user, item, score = user[known], item[known], score[known]
    order = np.lexsort((item, -score, user))
    user = user[order]
    place = index_within_group(user)
    kept = order[place < k]
    return build_sparse_rows(
        score[kept], item[kept], np.bincount(user[place < k], minlength=n), scores.shape
    )


def build_sparse_rows(
    values: Floats, items: Longs, n_of: Longs, shape: tuple[int, int]
) -> sparse.csr_array:
    """(n, n_items): values of items, row after row, so many a row, each item once in a row."""
    bounds = np.zeros(len(n_of) + 1, np.int32)
    np.cumsum(n_of, out=bounds[1:])
    return sparse.csr_array((values, items.astype(np.int32, copy=False), bounds), shape=shape)


def _least(scores: sparse.csr_array, k: int) -> Floats:
    """(n,): what is below it isn't among a row's k highest: to sort long rows whole takes long."""
    n_of = np.diff(scores.indptr)
    if n_of.max(initial=0) < PARTITION_FROM * k:
        return np.full(len(n_of), np.finfo(np.float32).min, np.float32)
    side_by_side = np.full((len(n_of), n_of.max()), -np.inf, np.float32)
    place = np.arange(len(scores.data)) - np.repeat(scores.indptr[:-1], n_of)
    known = np.where(np.isnan(scores.data), -np.inf, scores.data)
    side_by_side[np.repeat(np.arange(len(n_of)), n_of), place] = known
    least = np.partition(side_by_side, -k, axis=1)[:, -k]
    return np.maximum(least, np.finfo(np.float32).min)


def top_k_dense(scores: Floats, k: int) -> sparse.csr_array:
    """As `top_k`, of scores for every item, (n, n_items)."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    k = min(k, scores.shape[1])
    least = np.partition(known, -k, axis=1)[:, -k]
    user, item = np.nonzero(known >= least[:, None])
    stored = sparse.csr_array((known[user, item], (user, item)), shape=scores.shape)
    return top_k(stored, k)
