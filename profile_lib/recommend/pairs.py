"""What a ranker reads of a user, an item and what joins them: numbers, a row a candidate."""

from collections.abc import Sequence

import numpy as np

from profile_lib.recommend.asking import NUMBERS
from profile_lib.recommend.candidates import Candidates
from profile_lib.recommend.catalogue import Catalogue
from profile_lib.recommend.histories import DAY
from profile_lib.recommend.sources import Asked
from profile_lib.segments import Floats, Longs

OF_PAIR = (
    "n_sources", "demand", "price_level", "price", "price_level_gap", "category_share",
    "brand_share", "times_met", "steps_since_met", "days_since_met", "times_bought",
    "like_last_item", "like_interest", "like_joining",
)  # fmt: skip
VECTORS = ("interest", "item", "interest × item", "joining", "joining × item")
OF_USER = ("n_steps", "n_bought", "days_since_step")


def feature_names(sources: Sequence[str], size: int) -> list[str]:
    """Of the columns of `features`, with text vectors of so many numbers."""
    of_sources = [f"{kind} of {name}" for kind in ("strength", "place") for name in sources]
    of_vectors = [f"{name} {at}" for name in VECTORS for at in range(size)]
    return [*of_sources, *OF_PAIR, *OF_USER, *NUMBERS, *of_vectors]


def n_of_vectors(size: int) -> int:
    """How many of the last of `feature_names` are parts of vectors."""
    return len(VECTORS) * size


def features(
    asked: Asked, interest: Floats, pairs: Candidates, catalogue: Catalogue, decay: float
) -> Floats:
    """(m, F) float32, NaN where something isn't known.

    `interest`: (n, d), the users' interest vectors among those of the items' texts; `decay`: what a
    step leaves of the weight of the one before it, in the shares of a user's steps by category and
    brand.
    """
    user, item = pairs.user, pairs.item
    item_vectors, joining = catalogue.vectors[item], asked.joining[user]
    wanted = interest[user]
    columns = [
        *pairs.strengths.T,
        *(1 / pairs.places).T,
        pairs.is_named.sum(axis=1),
        catalogue.demand[item],
        catalogue.price_level[item],
        catalogue.price[item],
        *_of_steps(asked, user, item, catalogue, decay),
        (wanted * item_vectors).sum(axis=1),
        (joining * item_vectors).sum(axis=1),
        *[of_user[user] for of_user in _of_users(asked)],
        *asked.numbers[user].T,
    ]
    products = [wanted, item_vectors, wanted * item_vectors, joining, joining * item_vectors]
    return np.concatenate([np.stack(columns, axis=1), *products], axis=1).astype(np.float32)


def _of_users(asked: Asked) -> list[Floats]:
    steps = asked.histories
    n_steps = np.bincount(steps.of, minlength=steps.n)
    last = np.full(steps.n, np.nan)
    last[steps.of] = steps.seconds  # the last of a user's steps stays
    return [n_steps, np.bincount(steps.of, steps.is_bought, steps.n), (asked.now - last) / DAY]


def _of_steps(
    asked: Asked, user: Longs, item: Longs, catalogue: Catalogue, decay: float
) -> list[Floats]:
    """Of each pair what the user's steps tell of the item: (m,) in the order of OF_PAIR."""
    steps, m = asked.histories, len(user)
    pair, step = steps.of_users(user)
    met, wanted = steps.items[step], item[pair]
    weight = (steps.weights * np.float32(decay) ** steps.steps_ago)[step]
    whole = np.bincount(pair, weight, m)

    def share(of: Longs) -> Floats:
        is_same = (of[met] == of[wanted]) & (of[wanted] >= 0)
        return np.divide(
            np.bincount(pair, weight * is_same, m), whole, np.full(m, np.nan), where=whole > 0
        )

    level = catalogue.price_level
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
    since[pair[is_met]] = (asked.now[user[pair[is_met]]] - steps.seconds[step][is_met]) / DAY
    is_last = steps.steps_ago[step] == 0
    like_last = np.full(m, np.nan)
    like_last[pair[is_last]] = (
        catalogue.vectors[met[is_last]] * catalogue.vectors[wanted[is_last]]
    ).sum(axis=1)
    return [
        level[item] - usual,
        share(catalogue.category),
        share(catalogue.brand),
        np.bincount(pair, is_met, m),
        ago,
        since,
        np.bincount(pair, is_met & steps.is_bought[step], m),
        like_last,
    ]
