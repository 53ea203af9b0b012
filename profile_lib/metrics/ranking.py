"""Measure ranked lists with numpy.

A row is one relevant item of a user: the user's number, the item's rank in the user's list (from 1,
infinite if it is not listed) and its relevance, above 0. Every user has at least one row.
`ranking_spark.py` computes the same on Spark.
"""

import numpy as np
from numpy.typing import NDArray

from profile_lib.arrays.groups import index_within_group
from profile_lib.arrays.types import Floats, Integers

RANKING_METRICS = ("precision", "recall", "f1", "hit_rate", "ndcg", "mrr", "map")


def rank_relevant_items(
    scores: Floats, user: Integers, item: Integers, relevance: Floats
) -> Floats:
    """Return the rank of each (user, item) in the user's row of `scores`.

    `scores` is (users, items). Ties count against us: an item ranks after all irrelevant items of
    its score, and after those of lower relevance. An item with score minus infinity is masked: it
    has no rank and takes none. Raises ValueError if a score is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} scores are no number")
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
    """Return each of RANKING_METRICS at k, (n users,), in the order of the users' numbers.

    NDCG uses relevance as the gain (Järvelin and Kekäläinen 2002) and divides by the best possible
    order of all relevant items; MAP divides by the most relevant items that k places can hold.
    """
    numbers, place = np.unique(user, return_inverse=True)

    def sum_per_user(values: NDArray[np.generic]) -> Floats:
        return np.bincount(place, values, len(numbers)).astype(np.float64)

    def nth_per_user(order: Integers) -> Floats:
        nth = np.empty(len(rank))
        nth[order] = index_within_group(place[order]) + 1
        return nth

    nth = nth_per_user(np.lexsort((rank, place)))
    ideal_nth = nth_per_user(np.lexsort((-relevance, place)))
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
    """Return the share of (relevant, irrelevant) pairs in which the relevant item ranks first.

    `n_items` is the length of each user's list. Both it and the result are (n users,), in the order
    of the users' numbers. NaN if a list has no irrelevant item.
    """
    numbers, place = np.unique(user, return_inverse=True)
    order = np.lexsort((rank, place))
    nth = np.empty(len(rank))
    nth[order] = index_within_group(place[order]) + 1
    n_relevant = np.bincount(place, minlength=len(numbers))
    last_rank = n_items[place] - n_relevant[place] + nth  # items without a rank come last
    n_irrelevant_before = np.bincount(place, np.minimum(rank, last_rank) - nth, len(numbers))
    n_pairs = n_relevant * (n_items - n_relevant)
    return np.where(n_pairs > 0, 1 - n_irrelevant_before / np.maximum(n_pairs, 1), np.nan)


def catalog_metrics(listed: Integers, n_interactions: Integers) -> dict[str, float]:
    """Measure how lists use the catalogue.

    `listed` holds the items in all lists, (n,), as positions in `n_interactions`, the number of
    interactions with each item of the catalogue. `coverage` is the share of items listed at all,
    `novelty` the mean surprise of a listed item in bits (Zhou et al. 2010; an item without
    interactions counts as one with one), and `gini` the inequality of the items' listings, from 0
    if all are listed equally often to near 1 if only one is listed.
    """
    n_listed = np.bincount(listed, minlength=len(n_interactions))
    share = np.maximum(n_interactions, 1) / max(n_interactions.sum(), 1)
    gini_weight = 2 * np.arange(1, len(n_listed) + 1) - len(n_listed) - 1
    return {
        "coverage": float(np.mean(n_listed > 0)),
        "novelty": float(-np.log2(share[listed]).mean()),
        "gini": float(gini_weight @ np.sort(n_listed) / (len(n_listed) * n_listed.sum())),
    }
