"""A log in, the items that each pair of user and cutoff has met, and numbers over them, out."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import (
    Flags,
    Floats,
    GroupedRows,
    Longs,
    Numbers,
    dictionary_codes,
    first_occurrences,
    is_not_null,
    sort_ranks,
)
from profile_lib.features.event_log import DAY_MICROS, EventLog


@dataclass(frozen=True)
class InteractedItems:
    """Each item of each pair once, in the order in which they were met first.

    `first_rows` is the row of the log where that was; `event_rows` are the log's rows that have an item,
    `items` says which of those seen it is.
    """

    log: EventLog
    first_rows: Longs
    event_rows: Longs
    items: GroupedRows

    @property
    def pairs(self) -> GroupedRows:
        """The items of each pair."""
        return GroupedRows(self.log.pairs.group_ids[self.first_rows], self.log.pairs.n_groups)

    def catalog_values(self, name: str) -> pa.Array:
        """What the catalogue says of each item."""
        return self.log[name].take(pa.array(self.first_rows))

    def count(self, where: Flags) -> Longs:
        """How many events of each item are true."""
        return self.items.count(where[self.event_rows])

    def sum(self, values: Floats) -> Floats:
        """The sum over each item's events."""
        return self.items.sum(values[self.event_rows])

    def latest_micros(self, where: Flags) -> Longs:
        """The last moment of each item's events that are true, -1 where there is none."""
        return self.items.max(self.log.micros[self.event_rows], where[self.event_rows], -1)


def find_interacted_items(log: EventLog) -> InteractedItems:
    """The items that the log's events are about."""
    code, items = dictionary_codes(log["item_id"])
    rows = np.flatnonzero(code >= 0)
    first, item = first_occurrences(log.pairs.group_ids[rows] * max(len(items), 1) + code[rows])
    return InteractedItems(log, rows[first], rows, GroupedRows(item, len(first)))


def aggregate_items(interacted_items: InteractedItems) -> dict[str, Numbers | pa.Array]:
    """Numbers over the items that each pair has seen; of the one met last, ties by its id."""
    log, pairs = interacted_items.log, interacted_items.pairs
    is_seen = log.is_kind("view", "click") & (
        log.micros >= log.broadcast_to_rows(log.cutoff_micros - 7 * DAY_MICROS)
    )
    n_views = interacted_items.count(is_seen)
    met, added = (
        interacted_items.latest_micros(log.pairs.group_ids >= 0),
        interacted_items.latest_micros(log.is_kind("cart")),
    )
    start = log.session_start_micros[pairs.group_ids]
    is_bought = interacted_items.count(log.is_kind("purchase")) > 0
    in_order = np.lexsort(
        (sort_ranks(interacted_items.catalog_values("item_id")), met, pairs.group_ids)
    )
    has_none = pairs.end_rows == pairs.start_rows
    last = np.append(in_order, -1)[np.where(has_none, -1, pairs.end_rows - 1)]
    return {
        "n_items": pairs.end_rows - pairs.start_rows,
        "n_items_session": pairs.count(met >= start),
        "n_categories_session": _categories(interacted_items, met >= start),
        "n_items_added": pairs.count(added >= 0),
        "n_items_added_session": pairs.count(added >= start),
        "max_views_per_item": pairs.max(n_views, n_views > 0, 0),
        "n_views_last_item": np.where(has_none, 0, np.append(n_views, 0)[last]),
        "is_last_item_added": pa.array(np.append(added, -1)[last] >= 0, mask=has_none),
        "price_level": _mean_level(interacted_items, pairs.group_ids >= 0),
        "bought_price_level": _mean_level(interacted_items, is_bought),
    }


def _mean_level(interacted_items: InteractedItems, where: Flags) -> pa.Array:
    """The mean price level of each pair's items where true, null where none has one."""
    level = interacted_items.catalog_values("price_level")
    chosen = where & is_not_null(level)
    n = interacted_items.pairs.count(chosen)
    total = interacted_items.pairs.sum(level.fill_null(0.0).to_numpy(), chosen)
    return pa.array(total / np.maximum(n, 1), mask=n == 0)


def _categories(interacted_items: InteractedItems, where: Flags) -> Longs:
    """How many different categories the items of each pair have where true."""
    code, names = dictionary_codes(interacted_items.catalog_values("category"))
    chosen = np.flatnonzero(where & (code >= 0))
    first, _ = first_occurrences(
        interacted_items.pairs.group_ids[chosen] * max(len(names), 1) + code[chosen]
    )
    return np.bincount(
        interacted_items.pairs.group_ids[chosen[first]], minlength=interacted_items.pairs.n_groups
    )
