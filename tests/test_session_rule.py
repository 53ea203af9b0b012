"""The session rule holds at its limit, and arrays and Spark columns apply the same one."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import Window

from profile_lib.arrays.groups import differs_from_previous, sort_by_group_and_time
from profile_lib.session_rule import session_start_column, session_starts, to_micros

LIMIT = timedelta(minutes=30)
MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("gap", "starts"), [(LIMIT, False), (LIMIT + MICROSECOND, True), (timedelta(0), False)]
)
def test_a_gap_longer_than_the_limit_starts_a_new_session(gap, starts):
    micros = np.array([0, to_micros(gap)])
    is_start = session_starts(micros, np.array([True, False]), to_micros(LIMIT))
    assert is_start.tolist() == [True, starts]


def test_without_events_no_session_starts():
    nothing = np.array([], dtype=np.int64)
    assert session_starts(nothing, nothing.astype(bool), to_micros(LIMIT)).tolist() == []


def test_arrays_and_spark_columns_find_the_same_session_starts(spark):
    draw = np.random.default_rng(7)
    steps = [timedelta(0), MICROSECOND, LIMIT - MICROSECOND, LIMIT, LIMIT + MICROSECOND, 9 * LIMIT]
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    events = []
    for user in range(20):
        moment = begin
        for number in range(15):
            moment += steps[draw.integers(len(steps))]
            events.append((user, moment, f"{user} {number:02}"))

    frame = spark.createDataFrame(events, "user int, event_ts timestamp, event_id string")
    in_order = Window.partitionBy("user").orderBy("event_ts", "event_id")
    by_column = frame.select("event_id", session_start_column(in_order, LIMIT).alias("starts"))

    users = np.array([user for user, _, _ in events])
    micros = np.array([(moment - begin) // MICROSECOND for _, moment, _ in events])
    ids = pa.array([event_id for _, _, event_id in events])
    order = sort_by_group_and_time(users, micros, pa.nulls(len(ids), pa.int64()), ids)
    is_new_user = differs_from_previous(users[order])
    by_array = session_starts(micros[order], is_new_user, to_micros(LIMIT))

    expected = dict(zip(ids.take(pa.array(order)).to_pylist(), by_array.tolist(), strict=True))
    assert dict(by_column.collect()) == expected
