"""A log in, counts, recency and values of each pair of user and cutoff out."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import (
    Flags,
    Floats,
    Longs,
    Numbers,
    dictionary_codes,
    differs_from_previous,
)
from profile_lib.features.event_log import DAY_MICROS, TIMESTAMP_TYPE, EventLog
from profile_lib.tables.events import EVENT_TYPES, FUNNEL_STEPS, STEPS
from profile_lib.tables.features import WINDOWS

Column: TypeAlias = Numbers | pa.Array
Columns: TypeAlias = Iterator[tuple[str, Column]]

# The place in FUNNEL_STEPS, from 1, of each kind and page; 0 for those not on the way to an order, and
# last for what is none of them.
DEPTH_NAME_BY_KIND = {"checkout": "basket", "purchase": "done"}
DEPTH_BY_KIND, DEPTH_BY_STEP = (
    np.array([*(FUNNEL_STEPS.index(n) + 1 if n in FUNNEL_STEPS else 0 for n in names), 0])
    for names in ([DEPTH_NAME_BY_KIND.get(k, k) for k in EVENT_TYPES], STEPS)
)


def aggregate_events(log: EventLog) -> dict[str, Column]:
    """Every numeric feature that needs no catalogue, one value a pair.

    The cart holds what was put in since the last purchase. Purchases in a row with one order_id,
    or without one and of one moment, are an order.
    """
    step = log.numbers_or_zero("step").astype(np.int64)
    bought = log.pairs.max(log.micros, log.is_kind("purchase"), -1)
    is_new = log.micros > log.broadcast_to_rows(bought)
    return dict(
        [
            *_counts(log, step),
            *_values(log, is_new),
            *_prices(log),
            *_times(log, step),
            *_depths(log, step, is_new),
        ]
    )


def _counts(log: EventLog, step: Longs) -> Columns:
    pairs, in_session = log.pairs, log.in_window["session"]
    for window in WINDOWS:
        of_kinds = pairs.count_by_code(log.kind, len(EVENT_TYPES), log.in_window[window])
        yield from ((f"n_{k}_{window}", n) for k, n in zip(EVENT_TYPES, of_kinds, strict=True))
    of_kinds = pairs.count_by_code(log.kind, len(EVENT_TYPES))
    yield from ((f"n_{k}", n) for k, n in zip(EVENT_TYPES, of_kinds, strict=True))
    ever, lately = (pairs.count_by_code(step, len(STEPS), where) for where in (None, in_session))
    for code, name in enumerate(STEPS):
        yield f"n_{name}_step", ever[code]
        yield f"n_{name}_step_session", lately[code]
    yield "n_events", pairs.end_rows - pairs.start_rows
    yield "n_sessions", pairs.count(log.session_starts)
    yield "n_orders", _orders(log)


def _orders(log: EventLog) -> Longs:
    """How many orders each pair has: purchases of another order than the purchase before."""
    rows = np.flatnonzero(log.is_kind("purchase") & (log.numbers_or_zero("quantity") > 0))
    of_order, _ = dictionary_codes(log["order_id"].take(pa.array(rows)))
    moment = np.where(of_order < 0, log.micros[rows], 0)
    opens = rows[differs_from_previous(log.pairs.group_ids[rows], of_order, moment)]
    return np.bincount(log.pairs.group_ids[opens], minlength=log.pairs.n_groups)


def _values(log: EventLog, is_new: Flags) -> Columns:
    pairs, price, pieces = log.pairs, log.numbers_or_zero("price"), log.numbers_or_zero("quantity")
    sign = log.is_kind("cart").astype(np.int64) - log.is_kind("uncart")
    in_cart = is_new & (sign != 0)
    n_in_cart = pairs.sum(sign * pieces, in_cart)
    yield "n_in_cart", np.maximum(n_in_cart, 0).astype(np.int64)
    yield "cart_value", np.maximum(pairs.sum(sign * pieces * price, in_cart), 0.0)
    yield "order_value", pairs.sum(price * pieces, log.is_kind("purchase"))
    yield "mean_price", _mean(log, "price")
    yield "rating", _mean(log, "rating")
    yield (
        "session_dwell_seconds",
        pairs.sum(log.numbers_or_zero("dwell_seconds"), log.in_window["session"]),
    )


def _mean(log: EventLog, name: str) -> pa.Array:
    """The mean of a column's values of each pair, null where it has none."""
    n = log.pairs.count(log.has(name))
    total = log.pairs.sum(log.numbers_or_zero(name), log.has(name))
    return pa.array(total / np.maximum(n, 1), mask=n == 0)


def _prices(log: EventLog) -> Columns:
    is_priced = log.has("price")
    yield "last_seen_price", _latest_price(log, is_priced & log.is_kind("view", "click"))
    yield "last_added_price", _latest_price(log, is_priced & log.is_kind("cart"))
    yield "max_price_session", _greatest_price(log, is_priced & log.in_window["session"])


def _latest_price(log: EventLog, where: Flags) -> pa.Array:
    """The greatest price of each pair's last moment where true."""
    last = log.pairs.last_true(where)
    return _greatest_price(log, where & (log.micros == log.broadcast_to_rows(log.micros[last])))


def _greatest_price(log: EventLog, where: Flags) -> pa.Array:
    found = log.pairs.max(log.numbers_or_zero("price"), where, -np.inf)
    return pa.array(found, mask=np.isneginf(found))


def _times(log: EventLog, step: Longs) -> Columns:
    first, before = (
        log.micros[log.pairs.start_rows],
        log.micros[np.maximum(log.pairs.end_rows - 2, 0)],
    )
    is_alone = log.pairs.end_rows - log.pairs.start_rows == 1
    yield "last_event_ts", pa.array(log.last_micros).cast(TIMESTAMP_TYPE)
    yield "seconds_since_event", _seconds(log.cutoff_micros - log.last_micros)
    yield "last_gap_seconds", _seconds(np.where(is_alone, 0, log.last_micros - before))
    yield "session_seconds", _seconds(log.cutoff_micros - log.session_start_micros)
    yield "days_since_first_event", _seconds(log.cutoff_micros - first) / 86400
    yield "hour", log.cutoff_micros % DAY_MICROS // (DAY_MICROS // 24)
    yield "weekday", (log.cutoff_micros // DAY_MICROS + 4) % 7 + 1  # the epoch began on a Thursday
    for kind in ("cart", "checkout", "purchase"):
        yield f"seconds_since_{kind}", _since_last(log, log.is_kind(kind))
    for code, name in enumerate(STEPS):
        yield f"seconds_since_{name}_step", _since_last(log, step == code)


def _seconds(micros: Longs) -> Floats:
    return micros / 1e6


def _since_last(log: EventLog, where: Flags) -> pa.Array:
    """Seconds from each pair's last true row to its cutoff, null where it has none."""
    last = log.pairs.last_true(where)
    return pa.array(_seconds(log.cutoff_micros - log.micros[last]), mask=last < 0)


def _depths(log: EventLog, step: Longs, is_new: Flags) -> Columns:
    depth = np.maximum(DEPTH_BY_KIND[log.kind], DEPTH_BY_STEP[step])
    is_on_way = depth > 0
    last = log.pairs.last_true(is_on_way)
    yield "funnel_depth", log.pairs.max(depth, is_on_way, 0)
    yield "funnel_depth_session", log.pairs.max(depth, log.in_window["session"], 0)
    yield "funnel_depth_since_purchase", log.pairs.max(depth, is_new, 0)
    yield "funnel_depth_last", np.where(last >= 0, depth[last], 0)
    yield "events_since_funnel_step", pa.array(log.pairs.end_rows - 1 - last, mask=last < 0)
    yield "seconds_since_funnel_step", _since_last(log, is_on_way)
