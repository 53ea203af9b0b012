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

from profile_lib.arrays.groups import Floats
from profile_lib.recommend.candidates.buy_again import BuyAgain, estimate_repeats
from profile_lib.recommend.candidates.ease import ease_neighbours, ridge_neighbours
from profile_lib.recommend.candidates.factors import Factors, fit_factors
from profile_lib.recommend.candidates.item_neighbours import item_neighbours
from profile_lib.recommend.candidates.item_to_item import ItemToItem, neighbour_matrix
from profile_lib.recommend.candidates.nearest_items import InterestToItem, build_index
from profile_lib.recommend.candidates.popular_by_context import (
    EVERYWHERE,
    ContextPopularity,
    compute_demand,
    compute_demand_rise,
)
from profile_lib.recommend.candidates.source import Source
from profile_lib.recommend.candidates.text_neighbours import find_text_neighbours
from profile_lib.recommend.candidates.top_k import top_k
from profile_lib.recommend.candidates.user_to_user import UserToUser
from profile_lib.recommend.data.histories import PURCHASE
from profile_lib.recommend.serving.requests import find_positions

SEPARATOR = "\0"  # a context and its value


@dataclass(frozen=True)
class SourceData:
    """Of a shop: `histories` (user_id and STEPS), and the `vectors` of its items' texts,
    (n_items, d), of length 1 or zeros, of which nearest ones are found exactly below `approximate_search_from`
    items; `seed` of all that is drawn.

    Some sources want more, as of the second `now`: `events`, `items` (item_id, item), to whose
    vectors `interest_map` takes interest vectors (`interest.py`); `contexts`: the values known of each;
    `weights` of the kinds of events.
    """

    histories: DataFrame
    vectors: Floats
    approximate_search_from: int
    seed: int
    events: DataFrame | None = None
    items: DataFrame | None = None
    interest_map: Floats | None = None
    contexts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    now: int = 0

    @property
    def n_items(self) -> int:
        """How many items are numbered."""
        return len(self.vectors)


def fit_item_neighbours(data: SourceData, *, decay: float, **rules: Any) -> ItemToItem:
    """Items that are met near each other, by the rules of `item_neighbours`."""
    return ItemToItem(_near(item_neighbours(data.histories, **rules), data.n_items), decay)


def fit_ease(data: SourceData, *, decay: float, **rules: Any) -> ItemToItem:
    """Items by those met with them, in closed form, by the rules of `ease_neighbours`."""
    found = ease_neighbours(data.histories, n_items=data.n_items, **rules)
    return ItemToItem(_near(found, data.n_items), decay)


def fit_ridge(data: SourceData, *, decay: float, **rules: Any) -> ItemToItem:
    """Items by those met before them, in closed form, by the rules of `ridge_neighbours`."""
    found = ridge_neighbours(data.histories, n_items=data.n_items, decay=decay, **rules)
    return ItemToItem(_near(found, data.n_items), decay)


def fit_als(data: SourceData, *, alpha: float, l2: float, **rules: Any) -> Factors:
    """Items by alternating least squares, by the rules of `fit_factors`."""
    items = fit_factors(
        data.histories, n_items=data.n_items, alpha=alpha, l2=l2, seed=data.seed, **rules
    )
    return Factors(items, build_index(items, data.approximate_search_from), alpha, l2)


def fit_text_neighbours(
    data: SourceData, *, max_neighbours: int, decay: float, demand_power: float
) -> ItemToItem:
    """Items whose texts are near each other; what nobody met has such neighbours too.

    A neighbour counts by one more than the users who met it, to the power `demand_power`.
    """
    met = data.histories.select(F.explode(F.array_distinct("items")).alias("item"))
    counted = met.groupBy("item").count().toArrow()
    n_users = np.zeros(data.n_items)
    n_users[counted["item"].to_numpy()] = counted["count"].to_numpy()
    found = find_text_neighbours(
        data.histories.sparkSession,
        data.vectors,
        (n_users + 1) ** demand_power,
        max_neighbours,
        data.approximate_search_from,
    )
    return ItemToItem(_near(found, data.n_items), decay)


def fit_user_neighbours(
    data: SourceData,
    *,
    similarity: str,
    max_users: int,
    n_neighbours: int,
    max_users_per_item: int,
    decay: float,
) -> UserToUser:
    """Users alike, among so many who were there last."""
    last = data.histories.orderBy(F.element_at("seconds", -1).desc(), "user_id")
    found = last.select("items").limit(max_users).toArrow().combine_chunks()
    lists = found["items"].combine_chunks()
    met = (lists.value_parent_indices().to_numpy(), lists.flatten().to_numpy())
    ones = np.ones(len(met[0]), np.float32)
    matrix = sparse.csr_array((ones, met), shape=(len(lists), data.n_items))
    matrix.data[:] = 1  # however often
    return UserToUser(matrix, similarity, n_neighbours, max_users_per_item, decay)


def fit_interest_source(data: SourceData) -> InterestToItem:
    """Items near what the profile says of the user."""
    assert data.interest_map is not None
    return InterestToItem(
        build_index(data.vectors, data.approximate_search_from), data.interest_map
    )


def fit_demand(
    data: SourceData,
    *,
    half_life_days: float,
    short_half_life_days: float,
    rising: bool,
    prior_demand: float,
    max_items_per_context: int,
) -> ContextPopularity:
    """What is in demand or, `rising`, what is in demand of late more than before: the first
    `max_items_per_context` items of each place.

    A place counts a half where its demand is `prior_demand`, the more the more it has.
    """
    assert data.events is not None
    assert data.items is not None
    found = compute_demand(
        data.events, data.items, list(data.contexts), data.weights, data.now,
        half_life_days, short_half_life_days,
    ).toArrow()  # fmt: skip
    first = np.cumsum([0, *[len(values) for values in data.contexts.values()]])
    names = [f"{c}{SEPARATOR}{value}" for c, values in data.contexts.items() for value in values]
    names.append(f"{EVERYWHERE}{SEPARATOR}{EVERYWHERE}")
    places = pc.binary_join_element_wise(found["context"], found["value"], SEPARATOR)
    row = find_positions(places.combine_chunks(), pa.array(names))
    is_known, n_rows = row >= 0, len(names)
    row, item = row[is_known], found["item"].to_numpy()[is_known]
    wanted, recent = (found[name].to_numpy()[is_known] for name in ("demand", "recent"))
    total = np.bincount(row, wanted, n_rows)
    if rising:
        share = np.bincount(row, recent, n_rows) / np.maximum(total, 1e-12)
        values = compute_demand_rise(wanted, recent, share[row])
    else:
        values = wanted / np.maximum(total, 1e-12)[row]
    shape = (n_rows, data.n_items)
    shares = top_k(
        sparse.csr_array((values.astype(np.float32), (row, item)), shape=shape),
        max_items_per_context,
    )
    trust = total / (total + prior_demand)
    trust[-1] = 1.0
    return ContextPopularity(shares, first[:-1], trust.astype(np.float32))


def fit_buy_again(data: SourceData, *, prior_share: float, prior_count: float) -> BuyAgain:
    """What is bought again, and after how long."""
    assert data.events is not None
    assert data.items is not None
    bought = data.events.where(F.col("event_type") == PURCHASE).join(
        F.broadcast(data.items), "item_id"
    )
    found = estimate_repeats(bought, prior_share, prior_count).toArrow()
    share, days = np.zeros(data.n_items, np.float32), np.ones(data.n_items, np.float32)
    share[found["item"].to_numpy()] = found["share"].to_numpy()
    days[found["item"].to_numpy()] = found["days"].to_numpy()
    return BuyAgain(share, days)


def _near(found: DataFrame, n_items: int) -> sparse.csr_array:
    rows: pa.Table = found.toArrow()
    item, neighbour, weight = (rows[n].to_numpy() for n in ("item", "neighbour", "weight"))
    return neighbour_matrix(item, neighbour, weight, n_items)


def fit_source(data: SourceData, *, kind: str, **rules: Any) -> Source:
    """A source of a kind, by the rules of that kind's settings."""
    return FITTERS[kind](data, **rules)


FITTERS: Mapping[str, Callable[..., Source]] = {
    "item_neighbours": fit_item_neighbours,
    "ease": fit_ease,
    "ridge": fit_ridge,
    "factors": fit_als,
    "user_neighbours": fit_user_neighbours,
    "text_neighbours": fit_text_neighbours,
    "interest": fit_interest_source,
    "demand": fit_demand,
    "buy_again": fit_buy_again,
}
