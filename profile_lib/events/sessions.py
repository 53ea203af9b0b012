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
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.segments import (
    Flags,
    Longs,
    Segments,
    as_lists,
    changes,
    codes_of,
    in_order,
    is_known,
    starts_session,
    whole_groups,
)
from profile_lib.tables import EVENT_TYPES, SESSIONS

FIRST_KNOWN = ("channel", "device", "region")  # taken from the first event that has one
KINDS = pa.array(EVENT_TYPES, pa.string())


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


def session_batches(batches: Iterable[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    """Sessions of events that come sorted by user_key; a batch's last user waits for the next."""
    for events in whole_groups(batches, "user_key"):
        yield cut_sessions(events, limit)


def cut_sessions(events: pa.RecordBatch, limit: int) -> pa.RecordBatch:
    """The sessions of some users' events, which may come in any order."""
    user, _ = codes_of(events["user_id"])
    micros = events["micros"].to_numpy()
    order = in_order(user, micros, events["event_id"])
    starts = starts_session(micros[order], changes(user[order]), limit)
    sessions = Segments(np.cumsum(starts) - 1, int(starts.sum()))
    return _sessions(pc.take(events, pa.array(order)), sessions)


def _sessions(events: pa.RecordBatch, sessions: Segments) -> pa.RecordBatch:
    """One row a session."""
    micros, kind = events["micros"].to_numpy(), events["kind"].to_numpy().astype(np.int64)
    start = pa.array(micros[sessions.first], pa.timestamp("us", "UTC"))
    user = events["user_id"].take(pa.array(sessions.first))
    counts = sessions.tally(kind, len(KINDS))
    columns = {
        "session_id": pc.binary_join_element_wise(user, start.cast("int64").cast("string"), "-"),
        "user_id": user,
        "session_date": start.cast("date32"),
        "start_ts": start,
        "end_ts": pa.array(micros[sessions.end - 1], pa.timestamp("us", "UTC")),
        "n_events": pa.array(sessions.end - sessions.first),
        **{f"n_{k}": pa.array(c) for k, c in zip(EVENT_TYPES, counts, strict=True)},
        "n_items": pa.array(_items(events, sessions)),
        "dwell_seconds": pa.array(sessions.total(events["dwell"].fill_null(0.0).to_numpy())),
        "click_positions": _lists(events["position"], sessions, is_known(events["position"])),
        "path": _lists(KINDS.take(pa.array(kind)), sessions, changes(kind, sessions.of)),
        "order_value": pa.array(sessions.total(events["value"].fill_null(0.0).to_numpy())),
        **{name: _first_known(events[name], sessions) for name in FIRST_KNOWN},
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _items(events: pa.RecordBatch, sessions: Segments) -> Longs:
    """How many different items each session has."""
    rows = np.flatnonzero(is_known(events["item"]))
    item, of = events["item"].fill_null(0).to_numpy()[rows], sessions.of[rows]
    order = np.lexsort((item, of))
    return np.bincount(of[order][changes(item[order], of[order])], minlength=sessions.n)


def _lists(values: pa.Array, sessions: Segments, where: Flags) -> pa.ListArray:
    return as_lists(sessions.count(where), values.filter(pa.array(where)))


def _first_known(values: pa.Array, sessions: Segments) -> pa.Array:
    found = sessions.first_where(is_known(values))
    return values.take(pa.array(found, mask=found < 0))
