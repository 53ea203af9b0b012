"""A log in, counts, recency and values of each pair of user and cutoff out."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from profile_lib.features.log import DAY, MOMENT, Log
from profile_lib.segments import Flags, Floats, Longs, Numbers, changes, codes_of
from profile_lib.tables import DEPTHS, EVENT_TYPES, STEPS, WINDOWS

Column: TypeAlias = Numbers | pa.Array
Columns: TypeAlias = Iterator[tuple[str, Column]]

# The place in DEPTHS, from 1, of each kind and page; 0 for those not on the way to an order, and
# last for what is none of them.
KIND_NAMED = {"checkout": "basket", "purchase": "done"}
DEPTH_OF_KIND, DEPTH_OF_STEP = (
    np.array([*(DEPTHS.index(n) + 1 if n in DEPTHS else 0 for n in names), 0])
    for names in ([KIND_NAMED.get(k, k) for k in EVENT_TYPES], STEPS)
)


def count_events(log: Log) -> dict[str, Column]:
    """Every numeric feature that needs no catalogue, one value a pair.

    The cart holds what was put in since the last purchase. Purchases in a row with one order_id,
    or without one and of one moment, are an order.
    """
    step = log.number("step").astype(np.int64)
    bought = log.pairs.greatest(log.micros, log.is_kind("purchase"), -1)
    is_new = log.micros > log.beside(bought)
    return dict(
        [
            *_counts(log, step),
            *_values(log, is_new),
            *_prices(log),
            *_times(log, step),
            *_depths(log, step, is_new),
        ]
    )


def _counts(log: Log, step: Longs) -> Columns:
    pairs, in_session = log.pairs, log.within["session"]
    for window in WINDOWS:
        of_kinds = pairs.tally(log.kind, len(EVENT_TYPES), log.within[window])
        yield from ((f"n_{k}_{window}", n) for k, n in zip(EVENT_TYPES, of_kinds, strict=True))
    of_kinds = pairs.tally(log.kind, len(EVENT_TYPES))
    yield from ((f"n_{k}", n) for k, n in zip(EVENT_TYPES, of_kinds, strict=True))
    ever, lately = (pairs.tally(step, len(STEPS), where) for where in (None, in_session))
    for code, name in enumerate(STEPS):
        yield f"n_{name}_step", ever[code]
        yield f"n_{name}_step_session", lately[code]
    yield "n_events", pairs.end - pairs.first
    yield "n_sessions", pairs.count(log.starts)
    yield "n_orders", _orders(log)


def _orders(log: Log) -> Longs:
    """How many orders each pair has: purchases of another order than the purchase before."""
    rows = np.flatnonzero(log.is_kind("purchase") & (log.number("pieces") > 0))
    of_order, _ = codes_of(log["order_id"].take(pa.array(rows)))
    moment = np.where(of_order < 0, log.micros[rows], 0)
    opens = rows[changes(log.pairs.of[rows], of_order, moment)]
    return np.bincount(log.pairs.of[opens], minlength=log.pairs.n)


def _values(log: Log, is_new: Flags) -> Columns:
    pairs, price, pieces = log.pairs, log.number("price"), log.number("pieces")
    sign = log.is_kind("cart").astype(np.int64) - log.is_kind("uncart")
    in_cart = is_new & (sign != 0)
    n_in_cart = pairs.total(sign * pieces, in_cart)
    yield "n_in_cart", np.maximum(n_in_cart, 0).astype(np.int64)
    yield "cart_value", np.maximum(pairs.total(sign * pieces * price, in_cart), 0.0)
    yield "order_value", pairs.total(price * pieces, log.is_kind("purchase"))
    yield "mean_price", _mean(log, "price")
    yield "rating", _mean(log, "rating")
    yield "session_dwell_seconds", pairs.total(log.number("dwell"), log.within["session"])


def _mean(log: Log, name: str) -> pa.Array:
    """The mean of a column's values of each pair, null where it has none."""
    n = log.pairs.count(log.has(name))
    total = log.pairs.total(log.number(name), log.has(name))
    return pa.array(total / np.maximum(n, 1), mask=n == 0)


def _prices(log: Log) -> Columns:
    is_priced = log.has("price")
    yield "last_seen_price", _latest_price(log, is_priced & log.is_kind("view", "click"))
    yield "last_added_price", _latest_price(log, is_priced & log.is_kind("cart"))
    yield "max_price_session", _greatest_price(log, is_priced & log.within["session"])


def _latest_price(log: Log, where: Flags) -> pa.Array:
    """The greatest price of each pair's last moment where true."""
    last = log.pairs.last_where(where)
    return _greatest_price(log, where & (log.micros == log.beside(log.micros[last])))


def _greatest_price(log: Log, where: Flags) -> pa.Array:
    found = log.pairs.greatest(log.number("price"), where, -np.inf)
    return pa.array(found, mask=np.isneginf(found))


def _times(log: Log, step: Longs) -> Columns:
    first, before = log.micros[log.pairs.first], log.micros[np.maximum(log.pairs.end - 2, 0)]
    is_alone = log.pairs.end - log.pairs.first == 1
    yield "last_event_ts", pa.array(log.last).cast(MOMENT)
    yield "seconds_since_event", _seconds(log.cutoff - log.last)
    yield "last_gap_seconds", _seconds(np.where(is_alone, 0, log.last - before))
    yield "session_seconds", _seconds(log.cutoff - log.session_start)
    yield "days_known", _seconds(log.cutoff - first) / 86400
    yield "hour", log.cutoff % DAY // (DAY // 24)
    yield "weekday", (log.cutoff // DAY + 4) % 7 + 1  # the epoch began on a Thursday
    for kind in ("cart", "checkout", "purchase"):
        yield f"seconds_since_{kind}", _since_last(log, log.is_kind(kind))
    for code, name in enumerate(STEPS):
        yield f"seconds_since_{name}_step", _since_last(log, step == code)


def _seconds(micros: Longs) -> Floats:
    return micros / 1e6


def _since_last(log: Log, where: Flags) -> pa.Array:
    """Seconds from each pair's last true row to its cutoff, null where it has none."""
    last = log.pairs.last_where(where)
    return pa.array(_seconds(log.cutoff - log.micros[last]), mask=last < 0)


def _depths(log: Log, step: Longs, is_new: Flags) -> Columns:
    depth = np.maximum(DEPTH_OF_KIND[log.kind], DEPTH_OF_STEP[step])
    is_on_way = depth > 0
    last = log.pairs.last_where(is_on_way)
    yield "depth", log.pairs.greatest(depth, is_on_way, 0)
    yield "depth_session", log.pairs.greatest(depth, log.within["session"], 0)
    yield "depth_since_purchase", log.pairs.greatest(depth, is_new, 0)
    yield "depth_last", np.where(last >= 0, depth[last], 0)
    yield "events_since_depth", pa.array(log.pairs.end - 1 - last, mask=last < 0)
    yield "seconds_since_depth", _since_last(log, is_on_way)
