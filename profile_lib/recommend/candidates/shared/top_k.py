"""Select each row's highest scores, for all rows at once."""

import numpy as np
from scipy import sparse

from profile_lib.arrays.groups import index_within_group
from profile_lib.arrays.types import Floats, Longs

MIN_PARTITIONED_RATIO = 4  # rows of fewer than this times k scores are sorted without a partition


def top_k(scores: sparse.csr_array, k: int) -> sparse.csr_array:
    """Return the k highest scores of each row, highest first.

    Equal scores come in the order of item numbers. A score that is not stored, NaN or minus
    infinity is never returned.
    """
    n = scores.shape[0]
    user = np.repeat(np.arange(n), np.diff(scores.indptr))
    item, score = scores.indices, scores.data
    is_candidate = score >= _lowest_of_top_k(scores, k)[user]  # false for NaN
    user, item, score = user[is_candidate], item[is_candidate], score[is_candidate]
    order = np.lexsort((item, -score, user))
    user = user[order]
    rank = index_within_group(user)
    top = order[rank < k]
    lengths = np.bincount(user[rank < k], minlength=n)
    return build_sparse_rows(score[top], item[top], lengths, scores.shape)


def top_k_dense(scores: Floats, k: int) -> sparse.csr_array:
    """Return the same as `top_k` from dense scores, (n, n_items)."""
    finite = np.where(np.isnan(scores), -np.inf, scores)
    k = min(k, scores.shape[1])
    lowest = np.partition(finite, -k, axis=1)[:, -k]
    user, item = np.nonzero(finite >= lowest[:, None])
    stored = sparse.csr_array((finite[user, item], (user, item)), shape=scores.shape)
    return top_k(stored, k)


def build_sparse_rows(
    values: Floats, items: Longs, lengths: Longs, shape: tuple[int, int]
) -> sparse.csr_array:
    """Build a sparse matrix from the values and items of its rows.

    They come row by row; `lengths`, (n,), is the number of values in each row. An item occurs at
    most once in a row. The order within a row is retained.
    """
    bounds = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=bounds[1:])
    return sparse.csr_array((values, items.astype(np.int32, copy=False), bounds), shape=shape)


def rank_within_user(user: Longs, scores: Floats) -> Longs:
    """Rank each score among those of its user, (m,), from 0 for the highest.

    Equal scores rank in their order.

    >>> rank_within_user(np.array([7, 7, 4]), np.array([1.0, 2.0, 0.5])).tolist()
    [1, 0, 0]
    """
    order = np.lexsort((-scores, user))
    rank = np.empty(len(user), np.int64)
    rank[order] = index_within_group(user[order])
    return rank


def _lowest_of_top_k(scores: sparse.csr_array, k: int) -> Floats:
    """Return a lower bound of the k highest scores of each row, (n,).

    If any row is long, it is the k-th highest score, so that lower scores need no sorting. If not,
    it is the lowest number.
    """
    lengths = np.diff(scores.indptr)
    if lengths.max(initial=0) < MIN_PARTITIONED_RATIO * k:
        return np.full(len(lengths), np.finfo(np.float32).min, np.float32)
    dense = np.full((len(lengths), lengths.max()), -np.inf, np.float32)
    column = np.arange(len(scores.data)) - np.repeat(scores.indptr[:-1], lengths)
    finite = np.where(np.isnan(scores.data), -np.inf, scores.data)
    dense[np.repeat(np.arange(len(lengths)), lengths), column] = finite
    lowest = np.partition(dense, -k, axis=1)[:, -k]
    return np.maximum(lowest, np.finfo(np.float32).min)
