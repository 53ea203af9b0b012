"""A log in, the items that each pair of user and cutoff has met, and numbers over them, out."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from profile_lib.features.log import DAY, Log
from profile_lib.segments import (
    Flags,
    Floats,
    Longs,
    Numbers,
    Segments,
    codes_of,
    first_of_each,
    is_known,
    ranks,
)


@dataclass(frozen=True)
class SeenItems:
    """Each item of each pair once, in the order in which they were met first.

    `first` is the row of the log where that was; `rows` are the log's rows that have an item,
    `items` says which of those seen it is.
    """

    log: Log
    first: Longs
    rows: Longs
    items: Segments

    @property
    def pairs(self) -> Segments:
        """The items of each pair."""
        return Segments(self.log.pairs.of[self.first], self.log.pairs.n)

    def fact(self, name: str) -> pa.Array:
        """What the catalogue says of each item."""
        return self.log[name].take(pa.array(self.first))

    def count(self, where: Flags) -> Longs:
        """How many events of each item are true."""
        return self.items.count(where[self.rows])

    def total(self, values: Floats) -> Floats:
        """The sum over each item's events."""
        return self.items.total(values[self.rows])

    def latest(self, where: Flags) -> Longs:
        """The last moment of each item's events that are true, -1 where there is none."""
        return self.items.greatest(self.log.micros[self.rows], where[self.rows], -1)


def seen_items(log: Log) -> SeenItems:
    """The items that the log's events are about."""
    code, items = codes_of(log["item_id"])
    rows = np.flatnonzero(code >= 0)
    first, item = first_of_each(log.pairs.of[rows] * max(len(items), 1) + code[rows])
    return SeenItems(log, rows[first], rows, Segments(item, len(first)))


def summarise_items(seen: SeenItems) -> dict[str, Numbers | pa.Array]:
    """Numbers over the items that each pair has seen; of the one met last, ties by its id."""
    log, pairs = seen.log, seen.pairs
    is_seen = log.is_kind("view", "click") & (log.micros >= log.beside(log.cutoff - 7 * DAY))
    n_views = seen.count(is_seen)
    met, added = seen.latest(log.pairs.of >= 0), seen.latest(log.is_kind("cart"))
    start = log.session_start[pairs.of]
    is_bought = seen.count(log.is_kind("purchase")) > 0
    in_order = np.lexsort((ranks(seen.fact("item_id")), met, pairs.of))
    has_none = pairs.end == pairs.first
    last = np.append(in_order, -1)[np.where(has_none, -1, pairs.end - 1)]
    return {
        "n_items": pairs.end - pairs.first,
        "n_items_session": pairs.count(met >= start),
        "n_categories_session": _categories(seen, met >= start),
        "n_items_added": pairs.count(added >= 0),
        "n_items_added_session": pairs.count(added >= start),
        "most_views_of_an_item": pairs.greatest(n_views, n_views > 0, 0),
        "views_of_last_item": np.where(has_none, 0, np.append(n_views, 0)[last]),
        "is_last_item_added": pa.array(np.append(added, -1)[last] >= 0, mask=has_none),
        "price_level": _mean_level(seen, pairs.of >= 0),
        "bought_price_level": _mean_level(seen, is_bought),
    }


def _mean_level(seen: SeenItems, where: Flags) -> pa.Array:
    """The mean price level of each pair's items where true, null where none has one."""
    level = seen.fact("price_level")
    chosen = where & is_known(level)
    n = seen.pairs.count(chosen)
    total = seen.pairs.total(level.fill_null(0.0).to_numpy(), chosen)
    return pa.array(total / np.maximum(n, 1), mask=n == 0)


def _categories(seen: SeenItems, where: Flags) -> Longs:
    """How many different categories the items of each pair have where true."""
    code, names = codes_of(seen.fact("category"))
    chosen = np.flatnonzero(where & (code >= 0))
    first, _ = first_of_each(seen.pairs.of[chosen] * max(len(names), 1) + code[chosen])
    return np.bincount(seen.pairs.of[chosen[first]], minlength=seen.pairs.n)
