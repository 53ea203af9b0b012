"""Hold the counts of the events that are too old to be kept whole."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.groups import GroupedRows, is_not_null
from profile_lib.arrays.types import Floats, Longs
from profile_lib.features.histories import TRADES
from profile_lib.tables.events import EVENT_TYPES

NO_MOMENT = -1
NEVER = np.iinfo(np.int64).max
EVENT_TYPE_VALUES = pa.array(EVENT_TYPES)


@dataclass(frozen=True)
class OlderCounts:
    """The counts of older events, one row per PAST_COUNT, sorted by pair.

    `pairs` groups the rows by pair, and `first_micros` holds the time of each pair's first event,
    or NEVER if it has no older events. `kind` is the index of the event type in EVENT_TYPES.
    `pieces` and `value`, the price of all pieces, are 0 except for purchases and returns. `moment`
    is the time of an order without an id, 0 for one with an id, else NO_MOMENT.
    """

    pairs: GroupedRows
    first_micros: Longs
    kind: Longs
    n_events: Longs
    pieces: Floats
    value: Floats
    order_id: pa.Array
    moment: Longs

    @property
    def sign(self) -> Longs:
        """1 for purchases, -1 for returns, else 0."""
        is_purchase, is_return = (self.kind == EVENT_TYPES.index(n) for n in TRADES)
        return is_purchase.astype(np.int64) - is_return

    def count_by_kind(self) -> Longs:
        """Count the events of each kind in EVENT_TYPES: (kinds, pairs)."""
        n_kinds, n_pairs = len(EVENT_TYPES), self.pairs.n_groups
        cells = self.kind * n_pairs + self.pairs.group_ids
        counts = np.bincount(cells, self.n_events, minlength=n_kinds * n_pairs)
        return counts.astype(np.int64).reshape(n_kinds, n_pairs)


def read_older_counts(rows: pa.RecordBatch, pair: Longs, n_pairs: int) -> OlderCounts:
    """Read the rows of older counts, at most one per pair; `pair` holds its number."""
    order = np.argsort(pair)
    rows, pair = rows.take(pa.array(order)), pair[order]
    first_micros = np.full(n_pairs, NEVER)
    first_micros[pair] = rows["first_micros"].to_numpy()
    lists = rows["older"]
    counts = lists.flatten()
    order_id = counts.field("order_id")
    moment = counts.field("moment").cast(pa.int64()).fill_null(NO_MOMENT)
    kind = pc.index_in(counts.field("event_type"), EVENT_TYPE_VALUES)
    return OlderCounts(
        GroupedRows(pair[lists.value_parent_indices().to_numpy()], n_pairs),
        first_micros,
        kind.to_numpy(zero_copy_only=False).astype(np.int64),
        counts.field("n_events").to_numpy(zero_copy_only=False).astype(np.int64),
        _floats(counts.field("pieces")),
        _floats(counts.field("value")),
        order_id,
        np.where(is_not_null(order_id), 0, moment.to_numpy(zero_copy_only=False)),
    )


def _floats(decimals: pa.Array) -> Floats:
    return decimals.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
