"""Sum up prices: of viewed items, of the cart and of orders."""

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import GroupedRows, dictionary_codes, differs_from_previous
from profile_lib.arrays.types import Flags, Floats, Longs
from profile_lib.features.event_log import EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import DOUBLE, LONG, optional, required

PIECE_DECIMALS = 6  # sums of pieces are rounded, so that 0.1 + 0.2 - 0.3 is 0


@numeric_feature(
    optional("last_seen_price", DOUBLE, "price last viewed or clicked, in the shop's currency"),
    optional("last_added_price", DOUBLE, "price last added to the cart, in the shop's currency"),
    optional(
        "max_price_session", DOUBLE, "highest price in the current session, in the shop's currency"
    ),
)
def find_last_prices(log: EventLog) -> FeatureColumns:
    """Find the last prices seen and put in the cart, and the session's highest."""
    is_priced = log.has("price")
    yield "last_seen_price", _latest_price(log, is_priced & log.is_kind("view", "click"))
    yield "last_added_price", _latest_price(log, is_priced & log.is_kind("cart"))
    yield "max_price_session", _highest_price(log, is_priced & log.in_window["session"])


@numeric_feature(
    required(
        "n_in_cart", DOUBLE, "pieces added to the cart less those removed, since the last purchase"
    ),
    optional("cart_value", DOUBLE, "price of the pieces in the cart, in the shop's currency"),
)
def sum_cart(log: EventLog) -> FeatureColumns:
    """Sum up the cart: what was added since the last purchase, less what was removed."""
    price, quantity = log.numbers_or_zero("price"), log.numbers_or_zero("quantity")
    sign = log.is_kind("cart").astype(np.int64) - log.is_kind("uncart")
    in_cart = log.is_after_last_purchase & (sign != 0)
    n_in_cart = log.pairs.sum(sign * quantity, in_cart)
    yield "n_in_cart", np.maximum(n_in_cart.round(PIECE_DECIMALS), 0.0)
    yield "cart_value", np.maximum(log.pairs.sum(sign * quantity * price, in_cart), 0.0)


@numeric_feature(
    required(
        "n_orders", LONG, "number of orders in the history, without those returned completely"
    ),
    required(
        "order_value",
        DOUBLE,
        "price times quantity of all purchases less that of returns, in the shop's currency",
    ),
)
def sum_orders(log: EventLog) -> FeatureColumns:
    """Count orders and sum up their value."""
    price, pieces = log.numbers_or_zero("price"), _count_pieces_bought(log)
    yield "n_orders", _count_orders(log, pieces)
    older = log.older.pairs.sum(log.older.sign * log.older.value)
    yield "order_value", log.pairs.sum(price * pieces) + older


@numeric_feature(
    optional(
        "mean_price", DOUBLE, "mean price of all events that have one, in the shop's currency"
    ),
    optional("price_level", DOUBLE, "mean price level of the items seen, 0 to 1 in their category"),
    optional("bought_price_level", DOUBLE, "mean price level of the items bought, 0 to 1"),
)
def average_prices(log: EventLog) -> FeatureColumns:
    """Average prices over events, and price levels over items."""
    items = log.interacted_items
    level, is_bought = items.catalog_values("price_level"), items.count(log.is_kind("purchase")) > 0
    yield "mean_price", log.pairs.mean(log["price"])
    yield "price_level", items.pairs.mean(level)
    yield "bought_price_level", items.pairs.mean(level, is_bought)


def _latest_price(log: EventLog, where: Flags) -> pa.Array:
    """Return the highest price at each pair's last true moment, null if it has none."""
    last = log.pairs.last_true(where)
    return _highest_price(log, where & (log.moments == log.broadcast_to_rows(log.moments[last])))


def _highest_price(log: EventLog, where: Flags) -> pa.Array:
    """Return the highest price of each pair's events where true, null if it has none."""
    highest = log.pairs.max(log.numbers_or_zero("price"), where, -np.inf)
    return pa.array(highest, mask=np.isneginf(highest))


def _count_pieces_bought(log: EventLog) -> Floats:
    """Return the pieces of each purchase, and minus those of each return, else 0."""
    sign = log.is_kind("purchase").astype(np.float64) - log.is_kind("return")
    return sign * log.numbers_or_zero("quantity")


def _count_orders(log: EventLog, pieces: Floats) -> Longs:
    """Count each pair's orders that were not returned completely.

    All purchases with one order_id are one order, and so are those without one at one moment. A
    return takes its pieces from the order that it names; without an order_id it takes none. Older
    purchases that are counted by day, without their orders, are in none.
    """
    older = log.older
    order, _ = dictionary_codes(pa.concat_arrays([log["order_id"], older.order_id]))
    pair = np.append(log.pairs.group_ids, older.pairs.group_ids)
    pieces = np.append(pieces, older.sign * older.pieces)
    moment = np.append(log.micros, older.moment)
    rows = np.flatnonzero(((pieces > 0) & (moment >= 0)) | ((pieces < 0) & (order >= 0)))
    pair, order, pieces = pair[rows], order[rows], pieces[rows]
    moment = np.where(order < 0, moment[rows], 0)
    by_order = np.lexsort((moment, order, pair))
    is_first = differs_from_previous(pair[by_order], order[by_order], moment[by_order])
    orders = GroupedRows(np.cumsum(is_first) - 1, int(is_first.sum()))
    is_kept = orders.sum(pieces[by_order]).round(PIECE_DECIMALS) > 0
    return np.bincount(pair[by_order][is_first][is_kept], minlength=log.pairs.n_groups)
