"""Check that a history is a function of the events alone, and what it keeps of each."""

from datetime import datetime, timedelta
from decimal import Decimal

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.as_of import build_histories_as_of, select_histories_as_of
from profile_lib.features.histories import HistoryLimits, build_histories, select_past_events
from profile_lib.tables.events import EVENT_TYPES
from tests.features.behaviour_world import LIMITS, build, event, event_rows

NOON = datetime(2026, 1, 10, 12)
TINY = HistoryLimits(max_events=2, days=3, max_purchase_lines=2)
USERS = ["ann", "bob", "eve"]


def past(spark, events: list[dict]) -> DataFrame:
    return select_past_events(event_rows(spark, events), "user_id")


def by_user(histories: DataFrame) -> dict[str, dict]:
    return {row["user_id"]: row.asDict(recursive=True) for row in histories.collect()}


def purchase(hours_ago: float, **values: object) -> dict:
    order = {"item_id": "mug", "price": 2.5, "quantity": 2.0} | values
    return event("ann", NOON - timedelta(hours=hours_ago), "purchase", **order)


def test_the_last_events_are_kept_and_older_ones_counted_by_day_type_and_order(spark):
    events = [
        event("ann", NOON, "view", "tee"),
        event("ann", NOON - timedelta(hours=1), "cart", "mug"),
        purchase(24, order_id="o1"),
        purchase(25, order_id="o1"),
        purchase(26),
        event("ann", NOON - timedelta(hours=30), "view", "mug"),
        event("ann", NOON - timedelta(hours=31), "view", "tee"),
        event("ann", NOON - timedelta(days=3), "search", query="too old to be counted"),
    ]
    (ann,) = build_histories(past(spark, events), TINY._replace(max_purchase_lines=9)).collect()
    assert [(e["event_type"], e["item_id"]) for e in ann["events"]] == [
        ("cart", "mug"),
        ("view", "tee"),
    ]
    day = (NOON - timedelta(days=1)).date()
    names = ("day", "event_type", "item_id", "order_id", "moment", "n_events", "pieces", "value")
    assert [tuple(count[name] for name in names) for count in ann["older"]] == [
        (day, "purchase", "mug", None, NOON - timedelta(hours=26), 1, Decimal(2), Decimal(5)),
        (day, "purchase", "mug", "o1", None, 2, Decimal(4), Decimal(10)),
        (day, "view", None, None, None, 2, None, None),
    ]
    assert ann["older"][1]["last_ts"] == NOON - timedelta(hours=24)
    assert ann["older_known_ts"] == NOON - timedelta(hours=24)
    assert ann["first_ts"] == NOON - timedelta(days=3)


def test_a_day_beyond_the_number_of_purchase_lines_is_counted_without_orders(spark):
    recent = [event("ann", NOON - timedelta(minutes=n), "view", "tee") for n in range(2)]
    orders = [purchase(hours, order_id=f"o{hours}") for hours in (1, 2, 24, 48)]
    (ann,) = build_histories(past(spark, recent + orders), TINY).collect()
    counts = [(c["day"].day, c["order_id"], c["n_events"], c["value"]) for c in ann["older"]]
    assert counts == [(8, None, 1, 5), (9, None, 1, 5), (10, "o1", 1, 5), (10, "o2", 1, 5)]


drawn_event = st.tuples(
    st.sampled_from(USERS),
    st.integers(0, 6 * 24),  # hours before noon, so that many are at one time
    st.sampled_from(["view", "purchase", "return", "search"]),
    st.sampled_from(["mug", "tee", None]),
    st.sampled_from([None, "o1", "o2", "o3"]),
    st.sampled_from([None, 0.1, 0.7, 1e9]),
    st.sampled_from([0, 0, 50]),  # hours late
)


def make_events(drawn: list[tuple]) -> list[dict]:
    """Return the drawn events, with an id by their number."""
    return [
        event(user, NOON - timedelta(hours=hours), kind, item, order_id=order, price=price)
        | {"event_id": f"{n:03}", "ingest_ts": NOON - timedelta(hours=hours - late)}
        for n, (user, hours, kind, item, order, price, late) in enumerate(drawn)
    ]


@hypothesis.settings(max_examples=2, deadline=None)
@hypothesis.given(drawn=st.lists(drawn_event, min_size=10, max_size=60), seed=st.integers(0, 2**31))
def test_histories_built_in_batches_of_any_order_equal_those_built_at_once(spark, drawn, seed):
    events = make_events(drawn)
    at_once = by_user(build_histories(past(spark, events), TINY))
    order = np.random.default_rng(seed).permutation(len(events))
    stored = None
    for part in np.array_split(order, 3):
        batch = past(spark, [events[n] for n in part])
        stored = build_histories(batch, TINY, stored).localCheckpoint()
    assert stored is not None
    assert by_user(stored) == at_once


@hypothesis.settings(max_examples=2, deadline=None)
@hypothesis.given(drawn=st.lists(drawn_event, min_size=10, max_size=60))
def test_histories_as_of_earlier_cutoffs_equal_those_of_the_events_known_then(spark, drawn):
    events = event_rows(spark, make_events(drawn))
    limits = TINY._replace(max_events=12)
    moments = [NOON + timedelta(hours=hours) for hours in (-100, -20, 100)]
    pairs = [(user, moment) for user in USERS for moment in moments]
    cutoffs = spark.createDataFrame(pairs, "user_id string, cutoff_ts timestamp")
    current = build_histories(select_past_events(events, "user_id"), limits)
    found = select_histories_as_of(current, cutoffs)
    expected = build_histories_as_of(events, cutoffs, limits)
    missing = {tuple(row) for row in found.missing.collect()}
    by_pair = {
        (row["user_id"], row["cutoff_ts"]): row.asDict(recursive=True) for row in expected.collect()
    }
    rows = found.histories.select(*expected.columns).collect()
    assert {(row["user_id"], row["cutoff_ts"]): row.asDict(recursive=True) for row in rows} == {
        pair: row for pair, row in by_pair.items() if pair not in missing
    }
    assert not any(moment == moments[-1] for _, moment in missing)  # then all events were known


def test_numbers_of_ever_do_not_depend_on_how_many_events_are_kept_whole(spark):
    kinds = [kind for kind in EVENT_TYPES for _ in range(2)]
    events = [
        event(
            "ann", NOON - timedelta(hours=3 * n), kind, "mug",
            price=2.5, order_id=None if n % 3 else f"order {n // 6}",
        )
        for n, kind in enumerate(kinds * 2)
    ]  # fmt: skip
    cutoff = ("ann", NOON + timedelta(hours=1))
    whole, short = (
        build(spark, events, cutoff, limits=LIMITS._replace(max_events=n)).collect()[0].asDict()
        for n in (512, 5)
    )
    ever = ["n_events", "n_orders", "order_value", "days_since_first_event"]
    ever += [f"n_{kind}" for kind in EVENT_TYPES]
    assert {name: short[name] for name in ever} == {
        name: pytest.approx(whole[name]) for name in ever
    }
    assert whole["n_events"] == len(events)
    assert len(short["recent"]) < len(whole["recent"]) == 4 or len(short["recent"]) == 4


@pytest.mark.slow
def test_a_user_with_two_million_events_has_a_history_of_bounded_size(spark):
    n = 2_000_000
    rows = spark.range(n).select(
        F.lit("crawler").alias("user_id"),
        (F.lit(NOON) - F.make_dt_interval(secs=F.col("id"))).alias("event_ts"),
        F.format_string("%012d", "id").alias("event_id"),
        F.lit("view").alias("event_type"),
        F.format_string("item %d", F.col("id") % 1000).alias("item_id"),
        F.lit(NOON).alias("ingest_ts"),
    )
    empty = event_rows(spark, [])
    events = empty.unionByName(rows, allowMissingColumns=True)
    past = select_past_events(events, "user_id")
    is_first = F.col("event_id") == f"{n - 1:012}"
    stored = build_histories(past.where(is_first), LIMITS)
    (row,) = build_histories(past.where(~is_first), LIMITS, stored).collect()
    assert (len(row["events"]), len(row["older"])) == (512, 24)
    assert sum(count["n_events"] for count in row["older"]) == n - 512
