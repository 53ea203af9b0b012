"""Group the events of pairs of user and cutoff by item."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import GroupedRows, dictionary_codes, first_occurrences
from profile_lib.arrays.types import Flags, Floats, Longs

if TYPE_CHECKING:
    from profile_lib.features.event_log import EventLog


@dataclass(frozen=True)
class InteractedItems:
    """The distinct items of each pair, in order of their first events.

    `first_rows` holds the log's row of each item's first event. `event_rows` are all rows of the
    log that have an item, and `items` groups them by item.
    """

    log: "EventLog"
    first_rows: Longs
    event_rows: Longs
    items: GroupedRows

    @property
    def pairs(self) -> GroupedRows:
        """The items grouped by pair."""
        return GroupedRows(self.log.pairs.group_ids[self.first_rows], self.log.pairs.n_groups)

    def catalog_values(self, name: str) -> pa.Array:
        """Return a column of the catalog, one value per item."""
        return self.log[name].take(pa.array(self.first_rows))

    def count(self, where: Flags) -> Longs:
        """Count each item's events for which `where` is true; `where` has one flag per event."""
        return self.items.count(where[self.event_rows])

    def sum(self, values: Floats) -> Floats:
        """Sum `values`, one per event of the log, over each item's events."""
        return self.items.sum(values[self.event_rows])

    def latest_micros(self, where: Flags) -> Longs:
        """Return the time of each item's last event for which `where` is true, else -1."""
        return self.items.max(self.log.micros[self.event_rows], where[self.event_rows], -1)


def find_interacted_items(log: "EventLog") -> InteractedItems:
    """Find the distinct items of each pair's events."""
    code, items = dictionary_codes(log["item_id"])
    rows = np.flatnonzero(code >= 0)
    first, item = first_occurrences(log.pairs.group_ids[rows] * max(len(items), 1) + code[rows])
    return InteractedItems(log, rows[first], rows, GroupedRows(item, len(first)))
