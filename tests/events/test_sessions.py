"""Check how sessions are cut and counted, by rule and against DuckDB."""

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from profile_lib.events.sessions import build_sessions, cut_session_batches, select_session_columns
from profile_lib.tables import SESSIONS
from profile_lib.tables.events import EVENT_TYPES

GAP = timedelta(minutes=30)
SCHEMA = (
    "event_id string, user_id string, event_ts timestamp, sequence long, event_type string, "
    "item_id string, position int, dwell_seconds double, price double, quantity double, "
    "channel string, device string, region string"
)
ORDER = "ORDER BY event_ts, sequence NULLS FIRST, event_id"
DUCKDB_SESSIONS_SQL = f"""
WITH cut AS (
    SELECT *, coalesce(event_ts - lag(event_ts) OVER w > INTERVAL 30 MINUTE, true) AS starts
    FROM events WINDOW w AS (PARTITION BY user_id {ORDER})
), numbered AS (
    SELECT *, sum(starts::int) OVER w AS n,
        starts OR event_type <> lag(event_type) OVER w AS is_step
    FROM cut WINDOW w AS (PARTITION BY user_id {ORDER})
)
SELECT user_id, min(event_ts) AS start_ts, max(event_ts) AS end_ts,
    min(event_ts)::date::varchar AS session_date, count(*) AS n_events,
    {", ".join(f"count(*) FILTER (event_type = '{k}') AS n_{k}" for k in EVENT_TYPES)},
    count(DISTINCT item_id) AS n_items,
    coalesce(sum(dwell_seconds), 0) AS dwell_seconds,
    coalesce(list(position {ORDER})
        FILTER (event_type = 'click' AND position IS NOT NULL), []) AS click_positions,
    list(event_type {ORDER}) FILTER (is_step) AS path,
    coalesce(sum(price * coalesce(quantity, 1)
        * CASE event_type WHEN 'purchase' THEN 1 WHEN 'return' THEN -1 END), 0) AS order_value,
    {
    ", ".join(
        f"first({c} {ORDER}) FILTER ({c} IS NOT NULL) AS {c}"
        for c in ("channel", "device", "region")
    )
}
FROM numbered GROUP BY user_id, n ORDER BY user_id, start_ts
"""


def minutes_from_start(minutes: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)


def make_events(rows, *events):
    """Make events from tuples of user, minutes, event type and other columns."""
    values = []
    for number, (user, minutes, event_type, others) in enumerate(events):
        row = dict.fromkeys(("item_id", "position", "dwell_seconds", "price", "quantity"))
        row |= dict.fromkeys(("sequence", "channel", "device", "region"))
        row |= {"event_id": f"e{number}"} | others
        row |= {"user_id": user, "event_ts": minutes_from_start(minutes), "event_type": event_type}
        values.append(tuple(row[name.split()[0]] for name in SCHEMA.split(", ")))
    return rows(SCHEMA, *values)


def build_session_dicts(events):
    sessions = build_sessions(events, GAP).orderBy("user_id", "start_ts")
    return [row.asDict() for row in sessions.collect()]


def random_log(seed: int, n_users: int, n_events: int) -> pd.DataFrame:
    """Make bursts of events, many in the same second, also around midnight."""
    rng = np.random.default_rng(seed)

    def with_nulls(values):
        return pd.Series(values).astype(object).where(rng.random(n_events) < 0.7, None)

    event_types = rng.choice(EVENT_TYPES, n_events)
    minutes = rng.choice([0, 1, 5, 29, 30, 31, 60, 1410, 1439, 1440, 1470, 2900], n_events)
    seconds = 60 * minutes + rng.choice([0, 0, 0, 1, 30], n_events)
    return pd.DataFrame(
        {
            "event_id": [f"e{n}" for n in rng.permutation(n_events)],
            "user_id": [f"u{n}" for n in rng.integers(0, n_users, n_events)],
            "event_ts": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s"),
            "sequence": with_nulls(rng.integers(0, 9, n_events)),
            "event_type": event_types,
            "item_id": with_nulls([f"i{n}" for n in rng.integers(0, 5, n_events)]),
            "position": with_nulls(rng.integers(1, 20, n_events)),
            "dwell_seconds": with_nulls(rng.integers(0, 100, n_events) / 4),
            "price": with_nulls(rng.integers(1, 400, n_events) / 4),
            "quantity": with_nulls(rng.integers(1, 8, n_events) / 2),
            "channel": with_nulls(rng.choice(["direct", "email"], n_events)),
            "device": with_nulls(rng.choice(["mobile", "desktop"], n_events)),
            "region": with_nulls(rng.choice(["London", "Beijing"], n_events)),
        }
    ).astype(
        {"position": "Int32", "sequence": "Int64"}
        | dict.fromkeys(("quantity", "dwell_seconds", "price"), float)
    )


@pytest.fixture(scope="module")
def log_path(tmp_path_factory) -> str:
    """Write a random log as a file that both engines read."""
    path = str(tmp_path_factory.mktemp("log") / "events.parquet")
    random_log(seed=1, n_users=40, n_events=2_000).to_parquet(path, coerce_timestamps="us")
    return path


def test_sessions_equal_those_that_duckdb_cuts_from_the_same_log(spark, log_path):
    with duckdb.connect() as engine:
        engine.execute("SET timezone = 'UTC'")
        expected = engine.sql(DUCKDB_SESSIONS_SQL.replace("FROM events", f"FROM '{log_path}'")).df()
    sessions = build_sessions(spark.read.parquet(log_path), GAP)
    sessions = sessions.withColumn("session_date", F.col("session_date").cast("string"))
    actual = sessions.orderBy("user_id", "start_ts").toPandas()
    assert len(actual) == len(expected) > 100
    for name in expected.columns:
        assert [_plain(v) for v in actual[name]] == [_plain(v) for v in expected[name]], name


def _plain(value):
    if isinstance(value, np.ndarray | list):
        return list(value)
    if isinstance(value, pd.Timestamp):
        return value.tz_localize(None)
    return None if pd.isna(value) else value


def test_a_gap_of_exactly_the_limit_continues_and_a_longer_one_starts_a_session(rows):
    sessions = build_session_dicts(
        make_events(
            rows,
            ("ann", 0, "view", {}),
            ("ann", 30, "click", {}),
            ("ann", 60.01, "view", {}),
            ("bob", 61, "view", {}),
        )
    )
    assert [(s["user_id"], s["n_events"]) for s in sessions] == [("ann", 2), ("ann", 1), ("bob", 1)]


def test_a_session_across_midnight_has_the_date_of_its_start(rows):
    (session,) = build_session_dicts(
        make_events(rows, ("ann", 1435, "view", {}), ("ann", 1445, "purchase", {"price": 3.0}))
    )
    assert str(session["session_date"]) == "2026-01-01"
    assert session["end_ts"].day == 2
    assert session["order_value"] == 3.0


def test_events_at_the_same_moment_are_ordered_by_their_sequence(rows):
    clicks = [("ann", 0, "click", {"event_id": f"e{9 - n}", "sequence": n}) for n in (2, 1)]
    (session,) = build_session_dicts(
        make_events(
            rows,
            *[(*click[:3], click[3] | {"position": click[3]["sequence"]}) for click in clicks],
            ("ann", 0, "purchase", {"event_id": "a", "sequence": 10}),
            ("ann", 0, "page", {"event_id": "z"}),
        )
    )
    assert session["path"] == ["page", "click", "purchase"]  # the one without a sequence is first
    assert session["click_positions"] == [1, 2]


def test_a_return_takes_its_value_from_that_of_the_orders(rows):
    (session,) = build_session_dicts(
        make_events(
            rows,
            ("ann", 0, "purchase", {"price": 10.0, "quantity": 2.5}),
            ("ann", 1, "return", {"price": 10.0, "quantity": 0.5}),
        )
    )
    assert session["order_value"] == 20.0
    assert (session["n_purchase"], session["n_return"]) == (1, 1)
    assert session["path"] == ["purchase", "return"]


def test_events_at_the_same_moment_without_a_sequence_are_ordered_by_their_ids(rows):
    (session,) = build_session_dicts(
        make_events(
            rows,
            ("ann", 0, "click", {"event_id": "c", "position": 3, "device": "app"}),
            ("ann", 0, "view", {"event_id": "a", "device": "mobile"}),
            ("ann", 0, "click", {"event_id": "b", "position": 7}),
        )
    )
    assert session["path"] == ["view", "click"]
    assert session["click_positions"] == [7, 3]
    assert session["device"] == "mobile"


def test_a_session_id_is_the_user_and_the_start_of_the_session(rows):
    (session,) = build_session_dicts(make_events(rows, ("ann", 1, "view", {})))
    assert session["session_id"] == "ann-1767225660000000"


def test_the_frame_conforms_to_the_sessions_table(rows):
    sessions = build_sessions(make_events(rows, ("ann", 0, "view", {})), GAP)
    assert SESSIONS.conform(sessions).columns == sessions.columns


@pytest.fixture(scope="module")
def sorted_events(spark, log_path) -> pa.RecordBatch:
    """Read part of the log, sorted by user_key and otherwise in any order."""
    events = select_session_columns(spark.read.parquet(log_path).limit(300))
    rows = events.orderBy("user_key").collect()
    columns = {name: [row[name] for row in rows] for name in events.columns}
    return pa.RecordBatch.from_arrays(list(map(pa.array, columns.values())), list(columns))


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=12))
def test_batch_boundaries_do_not_change_sessions(sorted_events, cuts):
    limit = 30 * 60 * 1_000_000
    bounds = [0, *sorted(cuts), 300]
    batches = [sorted_events.slice(a, b - a) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    in_one_batch = pa.Table.from_batches(cut_session_batches([sorted_events], limit))
    in_many = pa.Table.from_batches(cut_session_batches(batches, limit))
    assert in_many.sort_by("session_id") == in_one_batch.sort_by("session_id")
