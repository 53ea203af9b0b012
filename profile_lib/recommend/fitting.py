"""What is known of a shop in, sources out: each kind of source is fitted here from frames.

What comes to the driver grows with the items (so many neighbours, one vector each), never with the
users or with pairs of either.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.recommend.asking import position_in
from profile_lib.recommend.buy_again import BuyAgain, repeats
from profile_lib.recommend.content import near_by_vector
from profile_lib.recommend.ease import ease_neighbours, ridge_neighbours
from profile_lib.recommend.factors import Factors, fit_factors
from profile_lib.recommend.histories import PURCHASE
from profile_lib.recommend.item_to_item import ItemToItem, similar_items
from profile_lib.recommend.nearest import InterestNearItems, index_of
from profile_lib.recommend.neighbours import item_neighbours
from profile_lib.recommend.popular import EVERYWHERE, Popular, demand, rise
from profile_lib.recommend.sources import Source
from profile_lib.recommend.top import best
from profile_lib.recommend.user_to_user import UserToUser
from profile_lib.segments import Floats

BETWEEN = "\0"  # a context and its value


@dataclass(frozen=True)
class Known:
    """Of a shop: `histories` (user_id and STEPS), and the `vectors` of its items' texts,
    (n_items, d), of length 1 or zeros, of which nearest ones are found exactly below `exact_below`
    items; `seed` of all that is drawn.

    Some sources want more, as of the second `now`: `events`, `items` (item_id, item), to whose
    vectors `to_texts` takes interest vectors (`interest.py`); `contexts`: the values known of each;
    `weights` of the kinds of events.
    """

    histories: DataFrame
    vectors: Floats
    exact_below: int
    seed: int
    events: DataFrame | None = None
    items: DataFrame | None = None
    to_texts: Floats | None = None
    contexts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    now: int = 0

    @property
    def n_items(self) -> int:
        """How many items are numbered."""
        return len(self.vectors)


def fit_neighbours(known: Known, *, decay: float, **rules: Any) -> ItemToItem:
    """Items that are met near each other, by the rules of `item_neighbours`."""
    return ItemToItem(_near(item_neighbours(known.histories, **rules), known.n_items), decay)


def fit_ease(known: Known, *, decay: float, **rules: Any) -> ItemToItem:
    """Items by those met with them, in closed form, by the rules of `ease_neighbours`."""
    found = ease_neighbours(known.histories, n_items=known.n_items, **rules)
    return ItemToItem(_near(found, known.n_items), decay)


def fit_ridge(known: Known, *, decay: float, **rules: Any) -> ItemToItem:
    """Items by those met before them, in closed form, by the rules of `ridge_neighbours`."""
    found = ridge_neighbours(known.histories, n_items=known.n_items, decay=decay, **rules)
    return ItemToItem(_near(found, known.n_items), decay)


def fit_als(known: Known, *, alpha: float, l2: float, **rules: Any) -> Factors:
    """Items by alternating least squares, by the rules of `fit_factors`."""
    items = fit_factors(
        known.histories, n_items=known.n_items, alpha=alpha, l2=l2, seed=known.seed, **rules
    )
    return Factors(items, index_of(items, known.exact_below), alpha, l2)


def fit_text(known: Known, *, most: int, decay: float, demand_power: float) -> ItemToItem:
    """Items whose texts are near each other; what nobody met has such neighbours too.

    A neighbour counts by one more than the users who met it, to the power `demand_power`.
    """
    met = known.histories.select(F.explode(F.array_distinct("items")).alias("item"))
    counted = met.groupBy("item").count().toArrow()
    n_users = np.zeros(known.n_items)
    n_users[counted["item"].to_numpy()] = counted["count"].to_numpy()
    found = near_by_vector(
        known.histories.sparkSession,
        known.vectors,
        (n_users + 1) ** demand_power,
        most,
        known.exact_below,
    )
    return ItemToItem(_near(found, known.n_items), decay)


def fit_users(
    known: Known, *, similarity: str, most_users: int, n_neighbours: int, an_item: int, decay: float
) -> UserToUser:
    """Users alike, among so many who were there last."""
    last = known.histories.orderBy(F.element_at("seconds", -1).desc(), "user_id")
    found = last.select("items").limit(most_users).toArrow().combine_chunks()
    lists = found["items"].combine_chunks()
    met = (lists.value_parent_indices().to_numpy(), lists.flatten().to_numpy())
    ones = np.ones(len(met[0]), np.float32)
    matrix = sparse.csr_array((ones, met), shape=(len(lists), known.n_items))
    matrix.data[:] = 1  # however often
    return UserToUser(matrix, similarity, n_neighbours, an_item, decay)


def fit_interests(known: Known) -> InterestNearItems:
    """Items near what the profile says of the user."""
    assert known.to_texts is not None
    return InterestNearItems(index_of(known.vectors, known.exact_below), known.to_texts)


def fit_demand(
    known: Known,
    *,
    half_life_days: float,
    short_half_life_days: float,
    rising: bool,
    usual: float,
    most: int,
) -> Popular:
    """What is in demand or, `rising`, what is in demand of late more than before: the first `most`
    items of each place.

    A place counts a half where its demand is `usual`, the more the more it has.
    """
    assert known.events is not None
    assert known.items is not None
    found = demand(
        known.events, known.items, list(known.contexts), known.weights, known.now,
        half_life_days, short_half_life_days,
    ).toArrow()  # fmt: skip
    first = np.cumsum([0, *[len(values) for values in known.contexts.values()]])
    names = [f"{c}{BETWEEN}{value}" for c, values in known.contexts.items() for value in values]
    names.append(f"{EVERYWHERE}{BETWEEN}{EVERYWHERE}")
    places = pc.binary_join_element_wise(found["context"], found["value"], BETWEEN)
    row = position_in(places.combine_chunks(), pa.array(names))
    is_known, n_rows = row >= 0, len(names)
    row, item = row[is_known], found["item"].to_numpy()[is_known]
    wanted, recent = (found[name].to_numpy()[is_known] for name in ("demand", "recent"))
    total = np.bincount(row, wanted, n_rows)
    if rising:
        share = np.bincount(row, recent, n_rows) / np.maximum(total, 1e-12)
        values = rise(wanted, recent, share[row])
    else:
        values = wanted / np.maximum(total, 1e-12)[row]
    shape = (n_rows, known.n_items)
    shares = best(sparse.csr_array((values.astype(np.float32), (row, item)), shape=shape), most)
    trust = total / (total + usual)
    trust[-1] = 1.0
    return Popular(shares, first[:-1], trust.astype(np.float32))


def fit_again(known: Known, *, usual_share: float, usual_count: float) -> BuyAgain:
    """What is bought again, and after how long."""
    assert known.events is not None
    assert known.items is not None
    bought = known.events.where(F.col("event_type") == PURCHASE).join(
        F.broadcast(known.items), "item_id"
    )
    found = repeats(bought, usual_share, usual_count).toArrow()
    share, days = np.zeros(known.n_items, np.float32), np.ones(known.n_items, np.float32)
    share[found["item"].to_numpy()] = found["share"].to_numpy()
    days[found["item"].to_numpy()] = found["days"].to_numpy()
    return BuyAgain(share, days)


def _near(found: DataFrame, n_items: int) -> sparse.csr_array:
    rows: pa.Table = found.toArrow()
    item, neighbour, weight = (rows[n].to_numpy() for n in ("item", "neighbour", "weight"))
    return similar_items(item, neighbour, weight, n_items)


def fit_source(known: Known, *, kind: str, **rules: Any) -> Source:
    """A source of a kind, by the rules of that kind's settings."""
    return FITS[kind](known, **rules)


FITS: Mapping[str, Callable[..., Source]] = {
    "neighbours": fit_neighbours,
    "ease": fit_ease,
    "ridge": fit_ridge,
    "factors": fit_als,
    "users": fit_users,
    "text": fit_text,
    "interest": fit_interests,
    "demand": fit_demand,
    "again": fit_again,
}
