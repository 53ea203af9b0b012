"""Check which rows are duplicates, robots or nobody's, and what is kept of rejected rows."""

import json
from datetime import date, datetime

import pytest
from pyspark.sql import functions as F

from profile_lib.events.formats.registry import FILE, POSITION
from profile_lib.events.validation import (
    build_rejected_events,
    find_frequent_ids,
    mark_duplicates,
    mark_known,
    partition_by_event,
    reject,
    reject_robots,
)
from profile_lib.spark.session import session_conf
from profile_lib.tables import EVENTS, REJECTED_EVENTS

STATUS = "status string, reasons array<string>"
BOTS = "(?i)bot\\b|crawl|headless"


def test_robots_are_recognised_by_their_user_agent_in_kept_rows(rows):
    judged = rows(
        f"user_agent string, {STATUS}",
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", "kept", []),
        ("HeadlessChrome", "kept", []),
        ("Mozilla/5.0 robotics", "kept", []),
        (None, "kept", []),
        ("Googlebot", "rejected", ["user_id:missing"]),
    )
    assert [tuple(row[1:]) for row in reject_robots(judged, BOTS).collect()] == [
        ("rejected", ["bot:user_agent"]),
        ("rejected", ["bot:user_agent"]),
        ("kept", []),
        ("kept", []),
        ("rejected", ["user_id:missing"]),
    ]


def test_a_condition_that_is_null_rejects_nothing(rows):
    judged = rows(f"n int, {STATUS}", (None, "kept", []), (1, "kept", []))
    statuses = [row["status"] for row in reject(judged, judged["n"] > 0, "rule").collect()]
    assert statuses == ["kept", "rejected"]


def test_an_id_with_more_than_its_share_of_a_large_batch_is_nobodys(rows):
    others = [(f"user {n}", 1) for n in range(100)]
    user_days = rows(
        "user_id string, n long", ("guest", 30), ("guest", 21), ("ann", 50), ("bob", 799), *others
    )
    # The average is 9.7, so that 50 is more than 5 averages, and 5 percent of all rows.
    assert sorted(find_frequent_ids(user_days, 0.05, 1_000)) == ["bob", "guest"]
    assert find_frequent_ids(user_days, 0.05, 1_001) == []
    assert find_frequent_ids(user_days, 0.8, 1_000) == []
    assert find_frequent_ids(user_days.limit(0), 0.05, 1) == []


def test_a_few_equally_active_users_of_a_large_batch_are_people(rows):
    user_days = rows("user_id string, n long", *((f"user {n}", 1_000) for n in range(12)))
    assert find_frequent_ids(user_days, 0.05, 10_000) == []


def test_the_first_arrival_of_an_event_is_kept_and_ties_are_broken_by_place(rows):
    one, two = datetime(2024, 3, 1), datetime(2024, 3, 2)
    schema = f"""n int, event_id string, user_id string, row_id string, status string,
        ingest_ts timestamp, sequence long, {FILE} string, {POSITION} long"""
    judged = rows(
        schema,
        (0, "e1", "ann", None, "kept", two, 1, "f", 0),
        (1, "e1", "ann", None, "kept", one, 9, "g", 5),
        (2, "e2", "ann", None, "kept", one, 1, "f", 2),
        (3, "e2", "ann", None, "kept", one, 1, "f", 1),
        (4, "e2", "ann", None, "kept", one, 1, "a", 3),
        (5, "e3", "bob", None, "kept", one, 1, "f", 6),
        (6, "e4", None, "r1", "rejected", one, 1, "f", 7),
        (7, "e4", None, "r2", "rejected", one, 1, "f", 8),
        (8, "e3", "bob", None, "left_out", one, 0, "f", 5),
    )
    marked = mark_duplicates(partition_by_event(judged)).orderBy("n").collect()
    assert [row["status"] for row in marked] == [
        "duplicate", "kept", "duplicate", "duplicate", "kept", "kept", "rejected", "rejected",
        "left_out",
    ]  # fmt: skip


def test_kept_rows_whose_event_is_stored_are_known(rows):
    judged = rows(
        f"n int, event_id string, status string, {FILE} string, {POSITION} long",
        (0, "e1", "kept", "f", 0),
        (1, "e1", "duplicate", "f", 1),
        (2, "e2", "kept", "f", 2),
        (3, "e3", "rejected", "f", 3),
    )
    stored = rows("event_id string", ("e1",), ("e3",), ("e9",))
    marked = mark_known(partition_by_event(judged), stored).orderBy("n").collect()
    assert [row["status"] for row in marked] == ["known", "duplicate", "kept", "rejected"]


def test_rows_of_one_user_and_rows_of_nobody_are_spread_over_all_tasks(spark):
    kind, number = F.col("id") % 3, F.col("id").cast("string")
    judged = spark.range(3_000).select(
        F.when(kind == 0, "one user").when(kind == 1, "nobody").alias("user_id"),
        F.when(kind == 2, "no event")
        .otherwise(F.concat(F.lit("event "), number))
        .alias("event_id"),
        F.when(kind == 0, "kept").otherwise("rejected").alias("status"),
        F.lit("f").alias(FILE),
        F.col("id").alias(POSITION),
    )
    with session_conf(spark, {"spark.sql.adaptive.coalescePartitions.enabled": "false"}):
        tasks = partition_by_event(judged).groupBy(F.spark_partition_id(), F.col(POSITION) % 3)
        sizes = [row["count"] for row in tasks.count().collect()]
    n_tasks = int(spark.conf.get("spark.sql.shuffle.partitions"))
    assert sizes == [pytest.approx(1_000 / n_tasks, rel=0.2)] * 3 * n_tasks


def test_a_rejected_row_is_kept_as_the_event_it_would_be_without_values_of_its_reasons(rows):
    names = [c for c in EVENTS.column_names() if c != "load_date"]
    types = {c.name: c.type.simpleString() for c in EVENTS.columns}
    schema = ", ".join(f"{name} {types[name]}" for name in names)
    values = {
        "event_id": "e1", "user_id": "ann", "event_ts": datetime(2024, 3, 1),
        "event_date": date(2024, 3, 1), "event_type": "view", "price": 2.5, "source": "shop",
        "ingest_ts": datetime(2024, 3, 2),
    }  # fmt: skip
    rejected = rows(
        f"{schema}, load_date date, row_id string, reasons array<string>, {FILE} string, "
        f"{POSITION} long",
        *[
            (
                *[({**values, **change}).get(name) for name in names],
                date(2024, 3, 2),
                row_id,
                reasons,
                "f",
                7,
            )
            for change, row_id, reasons in [
                ({}, None, ["bot:events_per_day"]),
                ({"event_type": None}, "r1", ["event_type:not_mapped=ann@example.org"]),
            ]
        ],
    )
    event, no_event = build_rejected_events(rejected).orderBy("reasons").collect()
    assert list(event.asDict()) == list(REJECTED_EVENTS.column_names())
    assert json.loads(event["row"]) == {
        "event_date": "2024-03-01",
        "event_type": "view",
        "price": 2.5,
    }
    assert (event["file"], event["row_number"], event["row_id"]) == ("f", 7, "e1")
    assert (no_event["row"], no_event["row_id"]) == (None, "r1")
    assert no_event["reasons"] == ["event_type:not_mapped"]
