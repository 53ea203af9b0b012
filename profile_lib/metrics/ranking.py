"""Measure ranked lists with numpy.

A row is one relevant item of a user: the user's number, the item's rank in the user's list (from 1,
infinite if it is not listed) and its relevance, above 0. Arguments hold one entry per row, (n,),
unless a function says otherwise. Results per user have one entry per distinct user, sorted by
number. `ranking_spark.py` computes the same on Spark.
"""

import numpy as np
from numpy.typing import NDArray

from profile_lib.arrays.groups import index_within_group
from profile_lib.arrays.types import Floats, Integers

RANKING_METRICS = ("precision", "recall", "f1", "hit_rate", "ndcg", "mrr", "map")


def rank_relevant_items(
    scores: Floats, user: Integers, item: Integers, relevance: Floats
) -> Floats:
    """Return the rank of each (user, item) in the user's row of `scores`, (n,).

    `scores` has shape (users, items). Ties are ranked pessimistically: an item comes after all
    irrelevant items of the same score, and after those of lower relevance. An item with a score of
    minus infinity is masked: its rank is infinite, and it does not count in other ranks. Raises
    ValueError if a score is NaN.
    """
    if n_nan := int(np.isnan(scores).sum()):
        raise ValueError(f"scores: found {n_nan} NaN, wanted numbers; mask items by minus infinity")
    score = scores[user, item]
    n_at_or_above = np.count_nonzero(scores[user] >= score[:, None], axis=1)
    order = np.lexsort((relevance, -score, user))
    nth_relevant = index_within_group(user[order]) + 1
    sorted_user, sorted_score = user[order], score[order]
    is_last_of_score = np.append(
        (sorted_user[1:] != sorted_user[:-1]) | (sorted_score[1:] != sorted_score[:-1]), True
    )
    ends = np.flatnonzero(is_last_of_score)
    n_relevant_at_or_above = nth_relevant[ends[np.searchsorted(ends, np.arange(len(order)))]]
    rank = np.empty(len(score))
    rank[order] = n_at_or_above[order] - n_relevant_at_or_above + nth_relevant
    return np.where(np.isneginf(score), np.inf, rank)


def ranking_metrics_per_user(
    user: Integers, rank: Floats, relevance: Floats, k: int
) -> dict[str, Floats]:
    """Return each of RANKING_METRICS at k, (users,).

    NDCG uses relevance as the gain (Järvelin and Kekäläinen 2002) and divides by the DCG of the
    ideal order of all relevant items. MAP divides by min(number of relevant items, k).
    """
    users, user_code = np.unique(user, return_inverse=True)

    def sum_per_user(values: NDArray[np.generic]) -> Floats:
        return np.bincount(user_code, values, len(users)).astype(np.float64)

    def nth_per_user(order: Integers) -> Floats:
        nth = np.empty(len(rank))
        nth[order] = index_within_group(user_code[order]) + 1
        return nth

    nth = nth_per_user(np.lexsort((rank, user_code)))
    ideal_nth = nth_per_user(np.lexsort((-relevance, user_code)))
    is_hit = rank <= k
    n_hits, n_relevant = sum_per_user(is_hit), sum_per_user(np.ones(len(rank)))
    ideal_dcg = sum_per_user(np.where(ideal_nth <= k, relevance / np.log2(ideal_nth + 1), 0))
    return {
        "precision": n_hits / k,
        "recall": n_hits / n_relevant,
        "f1": 2 * n_hits / (k + n_relevant),
        "hit_rate": (n_hits > 0).astype(float),
        "ndcg": sum_per_user(np.where(is_hit, relevance / np.log2(rank + 1), 0)) / ideal_dcg,
        "mrr": sum_per_user(np.where(is_hit & (nth == 1), 1 / rank, 0)),
        "map": sum_per_user(np.where(is_hit, nth / rank, 0)) / np.minimum(n_relevant, k),
    }


def auc_per_user(user: Integers, rank: Floats, n_items: Integers) -> Floats:
    """Return the share of (relevant, irrelevant) pairs in which the relevant item ranks higher.

    `n_items` is the number of items that each user's list ranks. It and the result have shape
    (users,). The result is NaN if a list has no irrelevant item.
    """
    users, user_code = np.unique(user, return_inverse=True)
    order = np.lexsort((rank, user_code))
    nth = np.empty(len(rank))
    nth[order] = index_within_group(user_code[order]) + 1
    n_relevant = np.bincount(user_code, minlength=len(users))
    last_rank = n_items[user_code] - n_relevant[user_code] + nth  # items without a rank come last
    n_irrelevant_before = np.bincount(user_code, np.minimum(rank, last_rank) - nth, len(users))
    n_pairs = n_relevant * (n_items - n_relevant)
    return np.where(n_pairs > 0, 1 - n_irrelevant_before / np.maximum(n_pairs, 1), np.nan)


def catalog_metrics(listed: Integers, n_interactions: Integers) -> dict[str, float]:
    """Measure how lists use the catalog.

    `n_interactions` holds the number of interactions with each item of the catalog, (items,), and
    `listed` the indices of the items in all lists, (n,). `coverage` is the share of items that are
    listed at all. `novelty` is the mean self-information of a listed item in bits (Zhou et al.
    2010); an item without interactions counts as one with one. `gini` is the Gini coefficient of
    the numbers of listings: 0 if all items are listed equally often, near 1 if only one is listed.
    """
    n_listed = np.bincount(listed, minlength=len(n_interactions))
    share = np.maximum(n_interactions, 1) / max(n_interactions.sum(), 1)
    gini_weight = 2 * np.arange(1, len(n_listed) + 1) - len(n_listed) - 1
    return {
        "coverage": float(np.mean(n_listed > 0)),
        "novelty": float(-np.log2(share[listed]).mean()),
        "gini": float(gini_weight @ np.sort(n_listed) / (len(n_listed) * n_listed.sum())),
    }
