"""events → sessions: the events of a user without a gap longer than the limit.

Spark brings each user's events together (one shuffle, and one radix sort by a hash of the user);
Arrow batches then order, cut and count them with array operations alone. Events at the same moment
count in the order of their event_id. Knows nothing of days: the job decides what it is given.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import EVENT_TYPES, SESSIONS

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
FIRST_KNOWN = ("channel", "device", "region")  # taken from the first event that has one
KINDS = pa.array(EVENT_TYPES, pa.string())
CLICK = EVENT_TYPES.index("click")


def build_sessions(events: DataFrame, gap: timedelta) -> DataFrame:
    """One row a session, as the table `sessions` declares it; one shuffle, by user."""
    limit = int(gap / timedelta(microseconds=1))

    def cut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return session_batches(batches, limit)

    together = narrow(events).repartition("user_key").sortWithinPartitions("user_key")
    return together.mapInArrow(cut, SESSIONS.schema)


def narrow(events: DataFrame) -> DataFrame:
    """What a session needs of its events, as small as it gets before it is moved."""
    kind = F.coalesce(*(F.when(F.col("event_type") == k, n) for n, k in enumerate(EVENT_TYPES)))
    value = F.col("price") * F.coalesce("quantity", F.lit(1))
    return events.select(
        F.xxhash64("user_id").alias("user_key"),  # a long: it is sorted without a comparison
        "user_id",
        "event_id",
        F.unix_micros("event_ts").alias("micros"),
        kind.cast("byte").alias("kind"),
        # 64 bits tell the items of one session apart
        F.when(F.col("item_id").isNotNull(), F.xxhash64("item_id")).alias("item"),
        F.when(F.col("event_type") == "click", F.col("position")).alias("position"),
        F.col("dwell_seconds").cast("double").alias("dwell"),
        F.when(F.col("event_type") == "purchase", value).alias("value"),
        *FIRST_KNOWN,
    )


def starts_session(micros: Longs, is_new_user: Flags, limit: int) -> Flags:
    """True where a user's first event is, or one more than `limit` after the one before it.

    >>> starts_session(np.array([0, 30, 61, 62]), np.array([True, False, False, True]), 30).tolist()
    [True, False, True, True]
    """
    return is_new_user | (np.diff(micros, prepend=micros[:1]) > limit)


def session_batches(batches: Iterable[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    """Sessions of events that come sorted by user_key; a batch's last user waits for the next."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        keys = batch["user_key"].to_numpy()
        if len(keys) and waiting and keys[-1] == waiting[-1]["user_key"][-1].as_py():
            waiting.append(batch)
        elif len(keys):
            last = int(np.searchsorted(keys, keys[-1]))
            if waiting or last:
                done = [*waiting, batch.slice(0, last)]
                yield cut_sessions(pa.Table.from_batches(done), limit)
            waiting = [batch.slice(last)]
    if waiting:
        yield cut_sessions(pa.Table.from_batches(waiting), limit)


def cut_sessions(events: pa.Table, limit: int) -> pa.RecordBatch:
    """The sessions of some users' events, which may come in any order."""
    events = events.combine_chunks()
    user = events["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    micros = events["micros"].to_numpy()
    order = _in_order(user, micros, events["event_id"].combine_chunks())
    user, micros = user[order], micros[order]
    is_new = np.diff(user, prepend=-1) != 0
    first = np.flatnonzero(starts_session(micros, is_new, limit))
    return _sessions(events.drop(["event_id"]).take(pa.array(order)), first)


def _in_order(user: Longs, micros: Longs, event_id: pa.Array) -> Longs:
    """Row numbers by user, time and event_id; only events at the same moment compare their ids."""
    order = np.lexsort((micros, user))
    is_tied = (np.diff(user[order]) == 0) & (np.diff(micros[order]) == 0)
    if not is_tied.any():
        return order
    moment = np.cumsum(np.append(True, ~is_tied))
    tied = np.flatnonzero(np.append(is_tied, False) | np.append(False, is_tied))
    rank = np.empty(len(tied), dtype=np.int64)
    rank[pc.array_sort_indices(event_id.take(pa.array(order[tied]))).to_numpy()] = np.arange(
        len(tied)
    )
    order[tied] = order[tied[np.lexsort((rank, moment[tied]))]]
    return order


def _sessions(events: pa.Table, first: Longs) -> pa.RecordBatch:
    """One row for each row number in `first`, over the events up to the next of them."""
    n = len(first)
    end = np.append(first[1:], events.num_rows)
    session = np.repeat(np.arange(n), end - first)
    micros, kind = events["micros"].to_numpy(), events["kind"].to_numpy().astype(np.int64)
    start = pa.array(micros[first], pa.timestamp("us", "UTC"))
    user = events["user_id"].combine_chunks().take(pa.array(first))
    counts = np.bincount(session * len(KINDS) + kind, minlength=n * len(KINDS)).reshape(n, -1).T
    columns = {
        "session_id": pc.binary_join_element_wise(user, start.cast("int64").cast("string"), "-"),
        "user_id": user,
        "session_date": start.cast("date32"),
        "start_ts": start,
        "end_ts": pa.array(micros[end - 1], pa.timestamp("us", "UTC")),
        "n_events": pa.array(end - first),
        **{f"n_{k}": pa.array(c) for k, c in zip(EVENT_TYPES, counts, strict=True)},
        "n_items": pa.array(_distinct(events["item"].combine_chunks(), session, n)),
        "dwell_seconds": pa.array(_sums(events["dwell"].combine_chunks(), session, n)),
        "click_positions": _lists(events["position"].combine_chunks(), session, n),
        "path": _path(kind, session, n),
        "order_value": pa.array(_sums(events["value"].combine_chunks(), session, n)),
        **{name: _first_known(events[name].combine_chunks(), first, end) for name in FIRST_KNOWN},
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _known(values: pa.Array) -> Longs:
    return np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))


def _sums(values: pa.Array, session: Longs, n: int) -> NDArray[np.float64]:
    numbers = values.fill_null(0.0).to_numpy()
    return np.bincount(session, weights=numbers, minlength=n).astype(np.float64)


def _distinct(values: pa.Array, session: Longs, n: int) -> Longs:
    rows = _known(values)
    found, of = values.fill_null(0).to_numpy()[rows], session[rows]
    order = np.lexsort((found, of))
    found, of = found[order], of[order]
    is_new = np.ones(len(rows), dtype=bool)
    is_new[1:] = (found[1:] != found[:-1]) | (of[1:] != of[:-1])
    return np.bincount(of[is_new], minlength=n)


def _lists(values: pa.Array, session: Longs, n: int) -> pa.ListArray:
    rows = _known(values)
    lengths = np.bincount(session[rows], minlength=n)
    return pa.ListArray.from_arrays(_offsets(lengths), values.take(pa.array(rows)))


def _path(kind: Longs, session: Longs, n: int) -> pa.ListArray:
    is_kept = np.ones(len(kind), dtype=bool)
    is_kept[1:] = (kind[1:] != kind[:-1]) | (session[1:] != session[:-1])
    lengths = np.bincount(session[is_kept], minlength=n)
    return pa.ListArray.from_arrays(_offsets(lengths), KINDS.take(pa.array(kind[is_kept])))


def _offsets(lengths: Longs) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _first_known(values: pa.Array, first: Longs, end: Longs) -> pa.Array:
    rows = np.append(_known(values), len(values))
    found = rows[np.searchsorted(rows, first)]
    return values.take(pa.array(found, mask=found >= end))
