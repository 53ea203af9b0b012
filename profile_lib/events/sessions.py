"""Build sessions from events.

A session is a run of a user's events without a gap longer than a limit; it may span midnight. Spark
brings each user's events together (one shuffle, and one radix sort by a hash of the user). Array
operations on Arrow batches then sort them by EVENT_ORDER, cut them into sessions and count.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import (
    Flags,
    GroupedRows,
    Longs,
    complete_groups,
    dictionary_codes,
    differs_from_previous,
    is_not_null,
    sort_by_group_and_time,
    to_list_array,
)
from profile_lib.session_rule import session_starts, to_micros
from profile_lib.tables import SESSIONS
from profile_lib.tables.events import EVENT_TYPES

FIRST_NON_NULL_COLUMNS = ("channel", "device", "region")  # taken from the first event with a value
MIN_ROWS = 50_000  # of a batch: each array operation then works on many users at once
EVENT_TYPE_NAMES = pa.array(EVENT_TYPES, pa.string())


def build_sessions(events: DataFrame, gap: timedelta) -> DataFrame:
    """Build the table `sessions` from complete events of users, with one shuffle."""
    max_gap_micros = to_micros(gap)

    def cut_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return cut_session_batches(batches, max_gap_micros)

    columns = select_session_columns(events)
    by_user = columns.repartition("user_key").sortWithinPartitions("user_key")
    return by_user.mapInArrow(cut_partition, SESSIONS.schema)


def select_session_columns(events: DataFrame) -> DataFrame:
    """Select the columns that sessions need, in small types for the shuffle."""
    event_type_code = F.coalesce(
        *(F.when(F.col("event_type") == name, code) for code, name in enumerate(EVENT_TYPES))
    )
    value = F.col("price") * F.coalesce("quantity", F.lit(1.0))
    is_purchase, is_return = (F.col("event_type") == name for name in ("purchase", "return"))
    return events.select(
        F.xxhash64("user_id").alias("user_key"),  # a long, so that Spark can sort by radix
        "user_id",
        "sequence",
        "event_id",
        F.unix_micros("event_ts").alias("event_micros"),
        event_type_code.cast("byte").alias("event_type_code"),
        # A hash of 64 bits is enough to distinguish the few items of one session.
        F.when(F.col("item_id").isNotNull(), F.xxhash64("item_id")).alias("item"),
        F.when(F.col("event_type") == "click", F.col("position")).alias("position"),
        F.col("dwell_seconds").cast("double").alias("dwell_seconds"),
        F.when(is_purchase, value).when(is_return, -value).alias("value"),
        *FIRST_NON_NULL_COLUMNS,
    )


def cut_session_batches(
    batches: Iterable[pa.RecordBatch], max_gap_micros: int
) -> Iterator[pa.RecordBatch]:
    """Cut batches of events, sorted by user_key, into sessions.

    The events of a user may span several batches.
    """
    for events in complete_groups(batches, "user_key", MIN_ROWS):
        yield cut_sessions(events, max_gap_micros)


def cut_sessions(events: pa.RecordBatch, max_gap_micros: int) -> pa.RecordBatch:
    """Cut all events of some users, in any order, into rows of `sessions`."""
    user, _ = dictionary_codes(events["user_id"])
    micros = events["event_micros"].to_numpy()
    order = sort_by_group_and_time(user, micros, events["sequence"], events["event_id"])
    starts = session_starts(micros[order], differs_from_previous(user[order]), max_gap_micros)
    sessions = GroupedRows(np.cumsum(starts) - 1, int(starts.sum()))
    return _build_rows(pc.take(events, pa.array(order)), sessions)


def _build_rows(events: pa.RecordBatch, sessions: GroupedRows) -> pa.RecordBatch:
    """Build one row per session from events in session order."""
    micros = events["event_micros"].to_numpy()
    codes = events["event_type_code"].to_numpy().astype(np.int64)
    start = pa.array(micros[sessions.start_rows], pa.timestamp("us", "UTC"))
    user = events["user_id"].take(pa.array(sessions.start_rows))
    counts = sessions.count_by_code(codes, len(EVENT_TYPE_NAMES))
    columns = {
        "session_id": pc.binary_join_element_wise(user, start.cast("int64").cast("string"), "-"),
        "user_id": user,
        "session_date": start.cast("date32"),
        "start_ts": start,
        "end_ts": pa.array(micros[sessions.end_rows - 1], pa.timestamp("us", "UTC")),
        "n_events": pa.array(sessions.end_rows - sessions.start_rows),
        **{f"n_{name}": pa.array(n) for name, n in zip(EVENT_TYPES, counts, strict=True)},
        "n_items": pa.array(_count_items(events, sessions)),
        "dwell_seconds": pa.array(sessions.sum(events["dwell_seconds"].fill_null(0.0).to_numpy())),
        "click_positions": _collect_lists(
            events["position"], sessions, is_not_null(events["position"])
        ),
        "path": _collect_lists(
            EVENT_TYPE_NAMES.take(pa.array(codes)),
            sessions,
            differs_from_previous(codes, sessions.group_ids),
        ),
        "order_value": pa.array(sessions.sum(events["value"].fill_null(0.0).to_numpy())),
        **{name: _first_non_null(events[name], sessions) for name in FIRST_NON_NULL_COLUMNS},
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _count_items(events: pa.RecordBatch, sessions: GroupedRows) -> Longs:
    """Count the distinct items of each session."""
    rows = np.flatnonzero(is_not_null(events["item"]))
    item, session = events["item"].fill_null(0).to_numpy()[rows], sessions.group_ids[rows]
    order = np.lexsort((item, session))
    item, session = item[order], session[order]
    return np.bincount(session[differs_from_previous(item, session)], minlength=sessions.n_groups)


def _collect_lists(values: pa.Array, sessions: GroupedRows, mask: Flags) -> pa.ListArray:
    return to_list_array(sessions.count(mask), values.filter(pa.array(mask)))


def _first_non_null(values: pa.Array, sessions: GroupedRows) -> pa.Array:
    rows = sessions.first_true(is_not_null(values))
    return values.take(pa.array(rows, mask=rows < 0))
