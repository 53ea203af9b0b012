"""Ranks of the items that users were to find in, measures out: numpy only.

A row is an item that a user was to find: the user's number, the item's rank in the user's list,
from 1, infinite where it isn't listed, and its relevance, above 0. Every user has a row or more. The
same on Spark: `ranks_spark.py`.
"""

import numpy as np
from numpy.typing import NDArray

from profile_lib.arrays.groups import index_within_group
from profile_lib.metrics.classification import (
    Floats,
    Labels,
    bootstrap_weights,
    percentile_interval,
)

RANKING_METRICS = ("precision", "recall", "f1", "hit_rate", "ndcg", "mrr", "map")


def rank_relevant_items(scores: Floats, user: Labels, item: Labels, relevance: Floats) -> Floats:
    """The rank of each (user, item) among all items of the user's row of `scores`, (users, items).

    Equal scores count against us: an item stands behind all that score as high and weren't to be
    found, and behind those of lower relevance that were. Minus infinity masks an item: it competes with
    none, and has no rank. Raises ValueError where a score is no number.
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} scores are no number")
    own = scores[user, item]
    at_or_above = np.count_nonzero(scores[user] >= own[:, None], axis=1)
    order = np.lexsort((relevance, -own, user))
    nth = index_within_group(user[order]) + 1
    u, o = user[order], own[order]
    is_last = np.append((u[1:] != u[:-1]) | (o[1:] != o[:-1]), True)
    ends = np.flatnonzero(is_last)
    to_be_found = nth[ends[np.searchsorted(ends, np.arange(len(nth)))]]  # at this score or above
    rank = np.empty(len(own))
    rank[order] = at_or_above[order] - to_be_found + nth
    return np.where(np.isneginf(own), np.inf, rank)


def ranking_metrics_per_user(
    user: Labels, rank: Floats, relevance: Floats, k: int
) -> dict[str, Floats]:
    """Each of RANKING_METRICS among the first k, (n users,), in the order of the users' numbers.

    NDCG takes gains as they are (Järvelin & Kekäläinen 2002) and divides by the best order of all
    that was to be found; MAP divides by as many as k could hold.
    """
    names, place = np.unique(user, return_inverse=True)

    def total(values: NDArray[np.generic]) -> Floats:
        return np.bincount(place, values, len(names)).astype(np.float64)

    order, best = np.lexsort((rank, place)), np.lexsort((-relevance, place))
    nth, nth_at_best = np.empty(len(rank)), np.empty(len(rank))
    nth[order], nth_at_best[best] = (
        index_within_group(place[order]) + 1,
        index_within_group(place[best]) + 1,
    )
    is_hit = rank <= k
    hits, n = total(is_hit), total(np.ones(len(rank)))
    ideal = total(np.where(nth_at_best <= k, relevance / np.log2(nth_at_best + 1), 0))
    return {
        "precision": hits / k,
        "recall": hits / n,
        "f1": 2 * hits / (k + n),
        "hit_rate": (hits > 0).astype(float),
        "ndcg": total(np.where(is_hit, relevance / np.log2(rank + 1), 0)) / ideal,
        "mrr": total(np.where(is_hit & (nth == 1), 1 / rank, 0)),
        "map": total(np.where(is_hit, nth / rank, 0)) / np.minimum(n, k),
    }


def auc_per_user(user: Labels, rank: Floats, n_items: Labels) -> Floats:
    """The share of pairs of an item to be found and another in which the first stands before.

    (n users,), in the order of the users' numbers, as `n_items`, of how many each list is. NaN
    where a list has none but those to be found.
    """
    names, place = np.unique(user, return_inverse=True)
    order = np.lexsort((rank, place))
    nth = np.empty(len(rank))
    nth[order] = index_within_group(place[order]) + 1
    n = np.bincount(place, minlength=len(names))
    last = n_items[place] - n[place] + nth  # an item without a rank is the last
    others_before = np.bincount(place, np.minimum(rank, last) - nth, len(names))
    n_pairs = n * (n_items - n)
    return np.where(n_pairs > 0, 1 - others_before / np.maximum(n_pairs, 1), np.nan)


def catalog_metrics(listed: Labels, n_interactions: Labels) -> dict[str, float]:
    """What lists show of a catalogue: `listed` are the items in them, (n,), as positions in
    `n_interactions`, how often each of all items was met.

    `coverage`: the share of items shown; `novelty`: the mean surprise of what is shown, in bits
    (Zhou et al. 2010), an item never met taken as met once; `gini`: how unequal items are shown, 0
    all alike, near 1 a single one.
    """
    shown = np.bincount(listed, minlength=len(n_interactions))
    share = np.maximum(n_interactions, 1) / max(n_interactions.sum(), 1)
    place = 2 * np.arange(1, len(shown) + 1) - len(shown) - 1
    return {
        "coverage": float(np.mean(shown > 0)),
        "novelty": float(-np.log2(share[listed]).mean()),
        "gini": float(place @ np.sort(shown) / (len(shown) * shown.sum())),
    }


def paired_bootstrap_interval(
    ours: Floats, theirs: Floats, n_resamples: int, seed: int
) -> list[float] | None:
    """The middle 95 % of ours less theirs, per-user values of the same users, over resamples of
    the users."""
    difference = ours - theirs
    weights = bootstrap_weights(np.arange(len(difference)), n_resamples, seed)
    return percentile_interval(
        [float(np.average(difference, weights=w)) for w in weights if w.any()]
    )
