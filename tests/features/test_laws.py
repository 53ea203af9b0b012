"""Laws of behaviour on random logs: the future changes nothing, and DuckDB counts the same."""

from datetime import datetime, timedelta

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.known import known_events
from profile_lib.spark import kept
from profile_lib.tables import EVENT_TYPES, EVENTS, ITEMS, WINDOWS

TWIN = " again"
CUTOFF = datetime(2026, 1, 20, 12)
GAP = timedelta(minutes=30)
ITEMS_OF_THE_SHOP = [
    ("mug", "blue mug", "drinkware", "acme", 10.0, 0.8, ["blue", "mug"]),
    ("tee", "red tee", "apparel", None, 20.0, 0.2, ["red", "tee"]),
]
RULES = {
    "gap": GAP, "half_life": timedelta(days=7), "max_interests": 5, "max_recent": 5,
    "weights": dict.fromkeys(EVENT_TYPES, 1.0),
}  # fmt: skip

USERS = [f"user {n}" for n in range(8)]  # many histories in each of a few builds
minutes_before = st.integers(min_value=1, max_value=50 * 24 * 60)
clicks = st.tuples(
    st.sampled_from(USERS),
    minutes_before,
    st.sampled_from(EVENT_TYPES),
    st.sampled_from([None, "mug", "tee"]),
    st.sampled_from([None, 1.0, 2.5]),
    st.sampled_from([None, 1, 3]),
)
logs = st.lists(clicks, min_size=20, max_size=150)


def event(number: int, click: tuple, twin: str = "", days: int = 0, known_after: int = 0) -> tuple:
    user, minutes, kind, item, price, quantity = click
    ts = CUTOFF - timedelta(minutes=minutes) + timedelta(days=days)
    values = {
        "event_id": f"{days} {number:03}", "user_id": user + twin, "event_ts": ts,
        "event_date": ts.date(), "event_type": kind, "item_id": item, "price": price,
        "quantity": quantity, "source": "test", "ingest_ts": ts + timedelta(days=known_after),
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.names())


def behaviour(spark, events: list[tuple]) -> dict[str, dict]:
    cutoffs = [(user + twin, CUTOFF) for user in USERS for twin in ("", TWIN)]
    known = known_events(
        spark.createDataFrame(events, EVENTS.schema),
        spark.createDataFrame(cutoffs, "user_id string, cutoff_ts timestamp"),
    )
    items = spark.createDataFrame(ITEMS_OF_THE_SHOP, ITEMS.schema)
    with kept(known) as known:
        rows = build_behaviour(known, items, **RULES).collect()
    return {row["user_id"]: row.asDict(recursive=True) for row in rows}


@settings(max_examples=3, deadline=None)
@given(past=logs, future=logs, late=logs)
def test_nothing_that_happens_or_arrives_after_the_cutoff_matters(spark, past, future, late):
    """Each user has a twin with the same past, and a future."""
    alike = [event(n, click, twin) for n, click in enumerate(past) for twin in ("", TWIN)]
    future_of_twins = [event(n, click, TWIN, days=60) for n, click in enumerate(future)]
    unknown = [event(n, click, TWIN, days=-1, known_after=60) for n, click in enumerate(late)]
    found = behaviour(spark, future_of_twins + alike + unknown)
    assert len(found) == 2 * len({click[0] for click in past})
    for user in {click[0] for click in past}:
        assert found[user + TWIN] | {"user_id": user} == found[user]


@settings(max_examples=3, deadline=None)
@given(log=logs)
def test_counts_and_sums_are_what_duckdb_makes_of_the_same_log(spark, log):
    events = [event(n, click) for n, click in enumerate(log)]
    found = behaviour(spark, events)
    connection = duckdb.connect()
    connection.register("log", pd.DataFrame(events, columns=EVENTS.names()))
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
            FROM log WINDOW w AS (PARTITION BY user_id ORDER BY event_ts, event_id))
        SELECT user_id, count(*) AS n_events, count(*) FILTER (starts) AS n_sessions,
            count(DISTINCT item_id) AS n_items, avg(price) AS mean_price,
            coalesce(sum(price * coalesce(quantity, 1)) FILTER (event_type = 'purchase'), 0)
                AS order_value,
            {", ".join(kinds)}
        FROM marked GROUP BY user_id"""
    ).df()
    assert len(expected) == len(found)
    for row in expected.to_dict("records"):
        ours = found[row.pop("user_id")]
        theirs = {name: None if pd.isna(value) else value for name, value in row.items()}
        wanted = {n: v if v is None else pytest.approx(v) for n, v in theirs.items()}
        assert {name: ours[name] for name in theirs} == wanted
