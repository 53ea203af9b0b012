"""Check laws of behaviour on random logs, and its counts against DuckDB."""

from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from profile_lib.arrays.groups import complete_groups
from profile_lib.features.as_of import build_histories_as_of
from profile_lib.features.behaviour import build_behaviour, compute_behaviour
from profile_lib.features.catalog_words import ProjectedCatalog, project_catalog
from profile_lib.features.event_projection import project_histories
from profile_lib.features.numeric.registry import registered_features
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS
from profile_lib.tables.events import EVENT_TYPES
from profile_lib.tables.features import WINDOWS
from tests.features.behaviour_world import LIMITS

TWIN = " again"
CUTOFF = datetime(2026, 1, 20, 12)
GAP = timedelta(minutes=30)
SHOP_ITEMS = [
    ("mug", "blue mug", "drinkware", "acme", 10.0, 0.8, ["blue", "mug"], ["blue", "mug"]),
    ("tee", "red tee", "apparel", None, 20.0, 0.2, ["red", "tee"], ["red", "tee"]),
]
RULES = {
    "gap": GAP, "half_life": timedelta(days=7), "max_interests": 5, "max_recent": 5,
    "weights": dict.fromkeys(EVENT_TYPES, 1.0),
}  # fmt: skip
TIME_ZONE = "Europe/Paris"

REGISTERED = registered_features(), to_arrow_schema(BEHAVIOUR.schema)

USERS = [f"user {n}" for n in range(8)]  # many histories in each of a few builds
minutes_before = st.integers(min_value=1, max_value=50 * 24 * 60)
drawn_events = st.tuples(
    st.sampled_from(USERS),
    minutes_before,
    st.sampled_from(EVENT_TYPES),
    st.sampled_from([None, "mug", "tee"]),
    st.sampled_from([None, 0.1, 2.7, 1e9]),
    st.sampled_from([None, 0.5, 3.0]),
    st.sampled_from([None, None, "red mugs", "a blue 茶杯"]),
    st.sampled_from([None, 1, 2]),
)
logs = st.lists(drawn_events, min_size=20, max_size=150)


def event(number: int, drawn: tuple, twin: str = "", days: int = 0, days_late: int = 0) -> tuple:
    user, minutes, kind, item, price, quantity, query, sequence = drawn
    ts = CUTOFF - timedelta(minutes=minutes) + timedelta(days=days)
    arrival = ts + timedelta(days=days_late)
    values = {
        "event_id": f"{days} {number:03}", "user_id": user + twin, "event_ts": ts,
        "event_date": ts.date(), "event_type": kind, "item_id": item, "price": price,
        "quantity": quantity, "query": query, "source": "test",
        "sequence": sequence, "ingest_ts": arrival, "load_date": arrival.date(),
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.column_names())


def histories_and_catalog(spark, events: list[tuple]) -> tuple[DataFrame, ProjectedCatalog]:
    cutoffs = [(user + twin, CUTOFF) for user in USERS for twin in ("", TWIN)]
    histories = build_histories_as_of(
        spark.createDataFrame(events, EVENTS.schema),
        spark.createDataFrame(cutoffs, "user_id string, cutoff_ts timestamp"),
        LIMITS,
    )
    return histories, project_catalog(spark.createDataFrame(SHOP_ITEMS, ITEMS.schema))


def behaviour(spark, events: list[tuple]) -> dict[str, dict]:
    histories, catalog = histories_and_catalog(spark, events)
    rows = build_behaviour(histories, catalog, time_zone=TIME_ZONE, **RULES).collect()
    return {row["user_id"]: row.asDict(recursive=True) for row in rows}


@settings(max_examples=3, deadline=None)
@given(past=logs, future=logs, late=logs)
def test_events_that_happen_or_arrive_after_the_cutoff_change_nothing(spark, past, future, late):
    """Each user has a twin with the same past and more events after the cutoff."""
    past_of_both = [event(n, drawn, twin) for n, drawn in enumerate(past) for twin in ("", TWIN)]
    future_of_twins = [event(n, drawn, TWIN, days=60) for n, drawn in enumerate(future)]
    unknown = [event(n, drawn, TWIN, days=-1, days_late=60) for n, drawn in enumerate(late)]
    by_user = behaviour(spark, future_of_twins + past_of_both + unknown)
    assert len(by_user) == 2 * len({drawn[0] for drawn in past})
    for user in {drawn[0] for drawn in past}:
        assert by_user[user + TWIN] | {"user_id": user} == by_user[user]


def random_events(strategy_seed: int, n: int) -> list[tuple]:
    """Draw a log with many events at one minute and prices whose sum depends on their order."""
    rng = np.random.default_rng(strategy_seed)
    return [
        (
            USERS[rng.integers(len(USERS))],
            int(rng.integers(1, 120)) * 10,
            EVENT_TYPES[rng.integers(len(EVENT_TYPES))],
            [None, "mug", "tee"][rng.integers(3)],
            float(rng.choice([0.1, 0.7, 3.3, 1e9])),
            [None, 0.1, 3.0][rng.integers(3)],
            [None, None, "red mugs", "a blue 茶杯"][rng.integers(4)],
            [None, 1, 2][rng.integers(3)],
        )
        for _ in range(n)
    ]


@pytest.fixture(scope="module")
def projected_rows(spark) -> pa.RecordBatch:
    """Rows of a log as Python workers get them, sorted by pair."""
    events = [event(n, drawn) for n, drawn in enumerate(random_events(1, 400))]
    frame = project_histories(*histories_and_catalog(spark, events), TIME_ZONE).orderBy("pair_key")
    rows = [row.asDict(recursive=True) for row in frame.collect()]
    return pa.RecordBatch.from_pylist(rows, to_arrow_schema(frame.schema))


def compute_by_user(batches: list[pa.RecordBatch], min_rows: int = 1) -> dict[str, dict]:
    results = [
        compute_behaviour(g, *REGISTERED, **RULES)
        for g in complete_groups(batches, "pair_key", min_rows)
    ]
    return {row["user_id"]: row for batch in results for row in batch.to_pylist()}


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 600), max_size=8),
    min_rows=st.integers(1, 400),
    seed=st.integers(0, 2**31),
    excluded=st.sets(st.sampled_from(USERS), max_size=len(USERS) - 1),
)
def test_batches_row_order_and_other_users_change_no_result(
    projected_rows, cuts, min_rows, seed, excluded
):
    order = np.random.default_rng(seed).permutation(projected_rows.num_rows)
    order = order[np.argsort(projected_rows["pair_key"].to_numpy()[order], kind="stable")]
    all_users = compute_by_user([projected_rows])
    assert len(all_users) == len(USERS)
    excluded_keys = {
        row["pair_key"] for row in projected_rows.to_pylist() if row["user_id"] in excluded
    }
    kept = [i for i in order if projected_rows["pair_key"][int(i)].as_py() not in excluded_keys]
    rows = pa.compute.take(projected_rows, pa.array(kept))
    bounds = [0, *sorted(min(cut, rows.num_rows) for cut in cuts), rows.num_rows]
    batches = [rows.slice(a, b - a) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    assert compute_by_user(batches, min_rows) == {
        u: w for u, w in all_users.items() if u not in excluded
    }


def test_the_number_of_partitions_changes_no_result(spark):
    events = [event(n, drawn) for n, drawn in enumerate(random_events(2, 300))]
    histories, catalog = histories_and_catalog(spark, events)
    frames = (
        build_behaviour(part, catalog, time_zone=TIME_ZONE, **RULES)
        for part in (histories.coalesce(1), histories.repartition(5))
    )
    one, many = ({row["user_id"]: row for row in frame.collect()} for frame in frames)
    assert one == many
    assert len(one) == len(USERS)


def test_pairs_with_one_equal_key_stay_apart_and_with_two_are_refused(projected_rows):
    one_key = with_equal_keys(projected_rows, "pair_key")
    assert compute_by_user([one_key]) == compute_by_user([projected_rows])
    with pytest.raises(ValueError, match="share their keys"):
        compute_by_user([with_equal_keys(one_key, "second_pair_key")])


def with_equal_keys(rows: pa.RecordBatch, name: str) -> pa.RecordBatch:
    keys = pa.array([7] * rows.num_rows, pa.int64())
    columns = [keys if field.name == name else rows[field.name] for field in rows.schema]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


@settings(max_examples=3, deadline=None)
@given(log=logs)
def test_counts_and_sums_equal_those_of_duckdb(spark, log):
    events = [event(n, drawn) for n, drawn in enumerate(log)]
    by_user = behaviour(spark, events)
    connection = duckdb.connect()
    connection.register("log", pd.DataFrame(events, columns=EVENTS.column_names()))
    spans = {w: f"INTERVAL {d} DAYS" for w, d in WINDOWS.items() if d is not None}
    kinds = [
        f"count(*) FILTER (event_type = '{k}' AND event_ts >= cutoff - {span}) AS n_{k}_{window}"
        for window, span in spans.items()
        for k in EVENT_TYPES
    ]
    expected = connection.execute(
        f"""WITH marked AS (
            SELECT *, TIMESTAMP '{CUTOFF}' AS cutoff,
                coalesce(event_ts - lag(event_ts) OVER w > INTERVAL 30 MINUTES, true) AS starts
            FROM log WINDOW w AS (PARTITION BY user_id
                ORDER BY event_ts, sequence NULLS FIRST, event_id))
        SELECT user_id, count(*) AS n_events, count(*) FILTER (starts) AS n_sessions,
            count(DISTINCT item_id) AS n_items, avg(price) AS mean_price,
            count(DISTINCT item_id) FILTER (event_type = 'cart') AS n_items_added,
            epoch(max(cutoff) - max(event_ts) FILTER (event_type = 'cart')) AS seconds_since_cart,
            max(price) FILTER (event_ts >= (
                SELECT max(m.event_ts) FROM marked m WHERE m.starts AND m.user_id = marked.user_id
            )) AS max_price_session,
            coalesce(sum(price * coalesce(quantity, 1)
                * CASE event_type WHEN 'purchase' THEN 1 WHEN 'return' THEN -1 ELSE 0 END), 0)
                AS order_value,
            count(DISTINCT event_ts) FILTER (event_type = 'purchase') AS n_orders,
            {", ".join(kinds)}
        FROM marked GROUP BY user_id"""
    ).df()
    assert len(expected) == len(by_user)
    for row in expected.to_dict("records"):
        computed_row = by_user[row.pop("user_id")]
        from_duckdb = {name: None if pd.isna(value) else value for name, value in row.items()}
        expected_row = {n: v if v is None else pytest.approx(v) for n, v in from_duckdb.items()}
        assert {name: computed_row[name] for name in from_duckdb} == expected_row
