"""What is known of a shop in, sources out: each kind of source is fitted here from frames.

What comes to the driver grows with the items (so many neighbours, one vector each), never with the
users or with pairs of either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.recommend.buy_again import BuyAgain, repeats
from profile_lib.recommend.content import near_by_vector
from profile_lib.recommend.histories import PURCHASE
from profile_lib.recommend.interest import fit_interest
from profile_lib.recommend.item_to_item import ItemToItem, similar_items
from profile_lib.recommend.nearest import InterestNearItems, index_of
from profile_lib.recommend.neighbours import item_neighbours
from profile_lib.recommend.popular import EVERYWHERE, Popular, demand, rise
from profile_lib.recommend.user_to_user import UserToUser
from profile_lib.segments import Floats


@dataclass(frozen=True)
class Known:
    """Of a shop as of the second `now`: `events`, and `items` (item_id, item) with the `vectors` of
    their texts, (n_items, d); `histories` (user_id and STEPS); `interests`, pairs of a `vector` of
    a profile and a `target`, that of the text of an item met next; `contexts`: the values known of
    each; `weights` of the kinds of events."""

    events: DataFrame
    items: DataFrame
    histories: DataFrame
    interests: DataFrame
    vectors: Floats
    contexts: Mapping[str, Sequence[str]]
    weights: Mapping[str, float]
    now: int

    @property
    def n_items(self) -> int:
        """How many items are numbered."""
        return len(self.vectors)


def fit_neighbours(
    known: Known,
    *,
    similarity: str,
    window: int,
    gap_power: float,
    backward: float,
    shrink: float,
    most: int,
    decay: float,
) -> ItemToItem:
    """Items that are met near each other: see `item_neighbours`."""
    found = item_neighbours(
        known.histories,
        similarity=similarity,
        window=window,
        gap_power=gap_power,
        backward=backward,
        shrink=shrink,
        most=most,
    )
    return ItemToItem(_near(found, known.n_items), decay)


def fit_text(known: Known, *, most: int, decay: float, exact_below: int) -> ItemToItem:
    """Items whose texts are near each other; what nobody met has such neighbours too."""
    vectors = np.nan_to_num(known.vectors)
    spark = known.items.sparkSession
    return ItemToItem(
        _near(near_by_vector(spark, vectors, most, exact_below), known.n_items), decay
    )


def fit_users(
    known: Known, *, similarity: str, most_users: int, n_neighbours: int, decay: float
) -> UserToUser:
    """Users alike, among so many who were there last."""
    last = known.histories.orderBy(F.element_at("seconds", -1).desc(), "user_id")
    found = last.select("items").limit(most_users).toArrow().combine_chunks()
    lists = found["items"].combine_chunks()
    met = (lists.value_parent_indices().to_numpy(), lists.flatten().to_numpy())
    ones = np.ones(len(met[0]), np.float32)
    matrix = sparse.csr_array((ones, met), shape=(len(lists), known.n_items))
    matrix.data[:] = 1  # however often
    return UserToUser(matrix, similarity, n_neighbours, decay)


def fit_interests(known: Known, *, ridge: float, exact_below: int) -> InterestNearItems:
    """Items near what the profile says of the user."""
    size, first = known.vectors.shape[1], known.interests.select(F.size("vector")).first()
    interest = 0 if first is None else first[0]
    weights = fit_interest(known.interests, interest, size, ridge)
    return InterestNearItems(index_of(np.nan_to_num(known.vectors), exact_below), weights)


def fit_demand(
    known: Known, *, half_life_days: float, short_half_life_days: float, rising: bool, usual: float
) -> Popular:
    """What is in demand or, `rising`, what is in demand of late more than before.

    A place counts a half where its demand is `usual`, the more the more it has.
    """
    found = demand(
        known.events, known.items, list(known.contexts), known.weights, known.now,
        half_life_days, short_half_life_days,
    ).toArrow()  # fmt: skip
    first = np.cumsum([0, *[len(values) for values in known.contexts.values()]])
    names = [(c, value) for c, values in known.contexts.items() for value in values]
    row_of = {name: row for row, name in enumerate([*names, (EVERYWHERE, EVERYWHERE)])}
    places = zip(found["context"].to_pylist(), found["value"].to_pylist(), strict=True)
    row = np.array([row_of.get(place, -1) for place in places], np.int64)
    is_known = row >= 0
    row, item = row[is_known], found["item"].to_numpy()[is_known]
    wanted, recent = (found[name].to_numpy()[is_known] for name in ("demand", "recent"))
    total = np.bincount(row, wanted, len(row_of))
    if rising:
        share = np.bincount(row, recent, len(row_of)) / np.maximum(total, 1e-12)
        values = rise(wanted, recent, share[row])
    else:
        values = wanted / np.maximum(total, 1e-12)[row]
    shape = (len(row_of), known.n_items)
    shares = sparse.csr_array((values.astype(np.float32), (row, item)), shape=shape)
    trust = total / (total + usual)
    trust[-1] = 1.0
    return Popular(shares, first[:-1], trust.astype(np.float32))


def fit_again(known: Known, *, usual_share: float, usual_count: float) -> BuyAgain:
    """What is bought again, and after how long."""
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


FITS = {
    "neighbours": fit_neighbours,
    "users": fit_users,
    "text": fit_text,
    "interest": fit_interests,
    "demand": fit_demand,
    "again": fit_again,
}
