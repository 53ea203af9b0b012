"""Count the items that users interacted with."""

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import dictionary_codes, first_occurrences
from profile_lib.arrays.types import Flags, Longs
from profile_lib.features.event_log import DAY_MICROS, EventLog
from profile_lib.features.interacted_items import InteractedItems
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import BOOLEAN, LONG, optional, required

VIEW_DAYS = 7


@numeric_feature(
    required("n_items", LONG, "number of different items of the last events"),
    required("n_items_session", LONG, "number of different items in the current session"),
    required("n_categories_session", LONG, "number of different categories in the current session"),
    required("max_views_per_item", LONG, "most views and clicks of one item, in 7 days"),
    required("n_items_added", LONG, "number of different items added to the cart, last events"),
    required(
        "n_items_added_session", LONG, "number of different items added in the current session"
    ),
    required("n_views_last_item", LONG, "views and clicks of the latest item, in 7 days"),
    optional("is_last_item_added", BOOLEAN, "whether the latest item was added to the cart"),
)
def count_items(log: EventLog) -> FeatureColumns:
    """Count items by interaction; the latest item is that of the last event with one."""
    items, pairs = log.interacted_items, log.interacted_items.pairs
    last_micros = items.latest_micros(np.ones(len(log.micros), dtype=bool))
    cart_micros = items.latest_micros(log.is_kind("cart"))
    session_start = log.session_start_micros[pairs.group_ids]
    window_start = log.broadcast_to_rows(log.cutoff_micros - VIEW_DAYS * DAY_MICROS)
    n_views = items.count(log.is_kind("view", "click") & (log.micros >= window_start))
    yield "n_items", pairs.end_rows - pairs.start_rows
    yield "n_items_session", pairs.count(last_micros >= session_start)
    yield "n_categories_session", _count_categories(items, last_micros >= session_start)
    yield "n_items_added", pairs.count(cart_micros >= 0)
    yield "n_items_added_session", pairs.count(cart_micros >= session_start)
    yield "max_views_per_item", pairs.max(n_views, n_views > 0, 0)
    last, has_none = _find_last_items(items)
    yield "n_views_last_item", np.where(has_none, 0, np.append(n_views, 0)[last])
    yield "is_last_item_added", pa.array(np.append(cart_micros, -1)[last] >= 0, mask=has_none)


def _find_last_items(items: InteractedItems) -> tuple[Longs, Flags]:
    """Return the index of each pair's last item or -1, and whether it has none."""
    last_row = items.log.pairs.last_true(items.log.has("item_id"))
    item_by_row = np.full(len(items.log.micros) + 1, -1)  # the last cell is for row -1
    item_by_row[items.event_rows] = items.items.group_ids
    return item_by_row[last_row], last_row < 0


def _count_categories(items: InteractedItems, where: Flags) -> Longs:
    """Count the different categories of each pair's items where true."""
    code, names = dictionary_codes(items.catalog_values("category"))
    chosen = np.flatnonzero(where & (code >= 0))
    pair = items.pairs.group_ids
    first, _ = first_occurrences(pair[chosen] * max(len(names), 1) + code[chosen])
    return np.bincount(pair[chosen[first]], minlength=items.pairs.n_groups)
