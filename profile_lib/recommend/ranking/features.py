"""Compute the ranker's numeric inputs, a row per candidate."""

from collections.abc import Sequence

import numpy as np

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.candidates.candidate_set import Candidates
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.histories import DAY
from profile_lib.recommend.data.profile_columns import PROFILE_NUMBERS
from profile_lib.recommend.data.requests import Requests

PAIR_FEATURES = (
    "n_sources", "demand", "price_level", "price", "price_level_gap", "category_share",
    "brand_share", "n_interactions", "steps_since_interaction", "days_since_interaction",
    "n_purchases", "last_item_similarity", "interest_similarity", "query_similarity",
)  # fmt: skip
VECTOR_FEATURES = ("interest", "item", "interest × item", "query", "query × item")
USER_FEATURES = ("n_steps", "n_bought_steps", "days_since_step")


def feature_names(sources: Sequence[str], size: int) -> list[str]:
    """Name the columns of `compute_features`, with text vectors of `size` numbers."""
    source_features = [
        f"{kind} of {name}" for kind in ("normalised score", "reciprocal rank") for name in sources
    ]
    vector_features = [f"{name} {number}" for name in VECTOR_FEATURES for number in range(size)]
    return [*source_features, *PAIR_FEATURES, *USER_FEATURES, *PROFILE_NUMBERS, *vector_features]


def n_vector_features(size: int) -> int:
    """Return the number of the last `feature_names` that are components of vectors."""
    return len(VECTOR_FEATURES) * size


def compute_features(
    requests: Requests, interests: Floats, pairs: Candidates, catalog: Catalog, decay: float
) -> Floats:
    """Compute the features of m candidates, (m, F) float32, NaN for unknown values.

    `interests`: (n, d), the users' interest vectors, mapped to text vectors. `decay`: the factor by
    which each later step reduces a step's weight, in the price level, category share and brand
    share of a user's steps.
    """
    user, item = pairs.user, pairs.item
    item_vectors, queries = catalog.vectors[item], requests.query_vectors[user]
    interest = interests[user]
    columns = [
        *pairs.normalised_scores.T,
        *(1 / pairs.source_ranks).T,
        pairs.is_proposed.sum(axis=1),
        catalog.demand[item],
        catalog.price_level[item],
        catalog.price[item],
        *_history_features(requests, user, item, catalog, decay),
        (interest * item_vectors).sum(axis=1),
        (queries * item_vectors).sum(axis=1),
        *[values[user] for values in _user_features(requests)],
        *requests.profile_numbers[user].T,
    ]
    vectors = [interest, item_vectors, interest * item_vectors, queries, queries * item_vectors]
    return np.concatenate([np.stack(columns, axis=1), *vectors], axis=1).astype(np.float32)


def _user_features(requests: Requests) -> list[Floats]:
    """Return USER_FEATURES, (n,) each."""
    steps = requests.histories
    n_steps = np.bincount(steps.user, minlength=steps.n_users)
    last = np.full(steps.n_users, np.nan)
    last[steps.user] = steps.seconds  # each user's last step overwrites the earlier ones
    return [
        n_steps,
        np.bincount(steps.user, steps.is_bought, steps.n_users),
        (requests.now - last) / DAY,
    ]


def _history_features(
    requests: Requests, user: Longs, item: Longs, catalog: Catalog, decay: float
) -> list[Floats]:
    """Compare each candidate with its user's steps: (m,) per feature.

    The features are those of PAIR_FEATURES from `price_level_gap` to `last_item_similarity`.
    """
    steps, m = requests.histories, len(user)
    pair, step = steps.steps_of_users(user)
    step_item, candidate = steps.items[step], item[pair]
    weight = steps.decayed_weights(decay)[step]
    is_same = step_item == candidate
    steps_ago, seconds = steps.steps_ago[step], steps.seconds[step]
    steps_since, days_since = np.full(m, np.nan), np.full(m, np.nan)
    # The last of a pair's steps overwrites the earlier ones.
    steps_since[pair[is_same]] = steps_ago[is_same]
    days_since[pair[is_same]] = (requests.now[user[pair[is_same]]] - seconds[is_same]) / DAY
    is_last = steps_ago == 0
    last_similarity = np.full(m, np.nan)
    last_similarity[pair[is_last]] = (
        catalog.vectors[step_item[is_last]] * catalog.vectors[candidate[is_last]]
    ).sum(axis=1)
    level = catalog.price_level
    is_known = np.isfinite(level[step_item])
    levels = np.where(is_known, np.nan_to_num(level[step_item]), 0)
    return [
        level[item] - _mean_per_pair(pair, levels, weight * is_known, m),
        _share_of_weight(pair, catalog.category[step_item], catalog.category[candidate], weight, m),
        _share_of_weight(pair, catalog.brand[step_item], catalog.brand[candidate], weight, m),
        np.bincount(pair, is_same, m),
        steps_since,
        days_since,
        np.bincount(pair, is_same & steps.is_bought[step], m),
        last_similarity,
    ]


def _share_of_weight(
    pair: Longs, step_code: Longs, candidate_code: Longs, weight: Floats, m: int
) -> Floats:
    """Return the share of each pair's step weights with the candidate's code, (m,), or NaN."""
    is_same = (step_code == candidate_code) & (candidate_code >= 0)
    return _mean_per_pair(pair, is_same, weight, m)


def _mean_per_pair(pair: Longs, values: Floats, weight: Floats, m: int) -> Floats:
    """Return the weighted mean over each pair's steps, (m,), or NaN."""
    total = np.bincount(pair, weight, m)
    sums = np.bincount(pair, weight * values, m)
    return np.divide(sums, total, np.full(m, np.nan), where=total > 0)
