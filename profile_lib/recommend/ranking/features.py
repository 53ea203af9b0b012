"""What a ranker reads of a user, an item and what joins them: numbers, a row a candidate."""

from collections.abc import Sequence

import numpy as np

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.candidates.candidate_set import Candidates
from profile_lib.recommend.candidates.source import Requests
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.histories import DAY
from profile_lib.recommend.serving.requests import PROFILE_NUMBERS

PAIR_FEATURES = (
    "n_sources", "demand", "price_level", "price", "price_level_gap", "category_share",
    "brand_share", "n_interactions", "steps_since_interaction", "days_since_interaction", "n_purchases",
    "last_item_similarity", "interest_similarity", "query_similarity",
)  # fmt: skip
VECTOR_FEATURES = ("interest", "item", "interest × item", "query", "query × item")
USER_FEATURES = ("n_steps", "n_bought_steps", "days_since_step")


def feature_names(sources: Sequence[str], size: int) -> list[str]:
    """Of the columns of `compute_features`, with text vectors of so many numbers."""
    of_sources = [
        f"{kind} of {name}" for kind in ("normalised score", "reciprocal rank") for name in sources
    ]
    of_vectors = [f"{name} {at}" for name in VECTOR_FEATURES for at in range(size)]
    return [*of_sources, *PAIR_FEATURES, *USER_FEATURES, *PROFILE_NUMBERS, *of_vectors]


def n_vector_features(size: int) -> int:
    """How many of the last of `feature_names` are parts of vectors."""
    return len(VECTOR_FEATURES) * size


def compute_features(
    requests: Requests, interest: Floats, pairs: Candidates, catalog: Catalog, decay: float
) -> Floats:
    """(m, F) float32, NaN where something isn't known.

    `interest`: (n, d), the users' interest vectors among those of the items' texts; `decay`: what a
    step leaves of the weight of the one before it, in the shares of a user's steps by category and
    brand.
    """
    user, item = pairs.user, pairs.item
    item_vectors, joining = catalog.vectors[item], requests.query_vectors[user]
    wanted = interest[user]
    columns = [
        *pairs.normalised_scores.T,
        *(1 / pairs.source_ranks).T,
        pairs.is_proposed.sum(axis=1),
        catalog.demand[item],
        catalog.price_level[item],
        catalog.price[item],
        *_of_steps(requests, user, item, catalog, decay),
        (wanted * item_vectors).sum(axis=1),
        (joining * item_vectors).sum(axis=1),
        *[of_user[user] for of_user in _of_users(requests)],
        *requests.profile_numbers[user].T,
    ]
    products = [wanted, item_vectors, wanted * item_vectors, joining, joining * item_vectors]
    return np.concatenate([np.stack(columns, axis=1), *products], axis=1).astype(np.float32)


def _of_users(requests: Requests) -> list[Floats]:
    steps = requests.histories
    n_steps = np.bincount(steps.user, minlength=steps.n_users)
    last = np.full(steps.n_users, np.nan)
    last[steps.user] = steps.seconds  # the last of a user's steps stays
    return [
        n_steps,
        np.bincount(steps.user, steps.is_bought, steps.n_users),
        (requests.now - last) / DAY,
    ]


def _of_steps(
    requests: Requests, user: Longs, item: Longs, catalog: Catalog, decay: float
) -> list[Floats]:
    """Of each pair what the user's steps tell of the item: (m,) in the order of PAIR_FEATURES."""
    steps, m = requests.histories, len(user)
    pair, step = steps.steps_of_users(user)
    met, wanted = steps.items[step], item[pair]
    weight = (steps.weights * np.float32(decay) ** steps.steps_ago)[step]
    whole = np.bincount(pair, weight, m)

    def share(of: Longs) -> Floats:
        is_same = (of[met] == of[wanted]) & (of[wanted] >= 0)
        return np.divide(
            np.bincount(pair, weight * is_same, m), whole, np.full(m, np.nan), where=whole > 0
        )

    level = catalog.price_level
    known = np.isfinite(level[met])
    usual = np.divide(
        np.bincount(pair, np.where(known, weight * np.nan_to_num(level[met]), 0), m),
        np.bincount(pair, weight * known, m),
        np.full(m, np.nan),
        where=np.bincount(pair, weight * known, m) > 0,
    )
    is_met = met == wanted
    ago, since = np.full(m, np.nan), np.full(m, np.nan)
    ago[pair[is_met]] = steps.steps_ago[step][is_met]  # the last of a pair's steps stays
    since[pair[is_met]] = (requests.now[user[pair[is_met]]] - steps.seconds[step][is_met]) / DAY
    is_last = steps.steps_ago[step] == 0
    like_last = np.full(m, np.nan)
    like_last[pair[is_last]] = (
        catalog.vectors[met[is_last]] * catalog.vectors[wanted[is_last]]
    ).sum(axis=1)
    return [
        level[item] - usual,
        share(catalog.category),
        share(catalog.brand),
        np.bincount(pair, is_met, m),
        ago,
        since,
        np.bincount(pair, is_met & steps.is_bought[step], m),
        like_last,
    ]
