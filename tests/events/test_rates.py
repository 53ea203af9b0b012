"""Check which minutes and days hold more events of a user than a person can make."""

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import DataFrame

from profile_lib.events.rates import (
    find_busy_days,
    find_impossible_rates,
    mark_fast_events,
    reject_fast_events,
    select_rejected_by_rate,
)
from profile_lib.tables import EVENTS, REJECTED_EVENTS

START = datetime(2024, 3, 1, 10, 1)
SCHEMA = (
    "user_id string, event_id string, event_ts timestamp, event_date date, order_id string, "
    "status string, reasons array<string>"
)


@pytest.fixture
def events(rows):
    """Make events of a user: `events(("ann", time, order), ...)`."""

    def make(*acts: tuple[str, datetime, str | None]) -> DataFrame:
        values = [
            (user, f"e{n}", time, time.date(), order, "kept", [])
            for n, (user, time, order) in enumerate(acts)
        ]
        return rows(SCHEMA, *values)

    return make


def find(frame: DataFrame, per_minute: int, per_day: int, zone: str = "UTC") -> list[tuple]:
    return sorted(map(tuple, find_impossible_rates(frame, per_minute, per_day, zone).collect()))


def in_a_minute(user: str, n: int, start: datetime = START, order: str | None = None) -> list:
    return [(user, start + timedelta(seconds=s), order) for s in range(n)]


def test_a_minute_with_more_events_than_the_limit_is_found_and_one_with_as_many_is_not(events):
    later = START + timedelta(minutes=1)
    frame = events(*in_a_minute("ann", 6), *in_a_minute("ann", 5, later), *in_a_minute("bob", 5))
    assert find(frame, 5, 100) == [("ann", "minute", START)]
    assert find(frame, 5, 10) == [
        ("ann", "day", datetime(2024, 3, 1)),
        ("ann", "minute", START),
    ]


def test_all_lines_of_one_order_count_as_one_act(events):
    one = in_a_minute("ann", 9, order="o1")
    many = [("bob", time, f"o{n}") for n, (_, time, _) in enumerate(in_a_minute("bob", 9))]
    assert find(events(*one, *many), 5, 100) == [("bob", "minute", START)]


def test_an_event_that_occurs_twice_counts_once(events):
    frame = events(*in_a_minute("ann", 5))
    assert find(frame.union(frame), 5, 100) == []


def test_events_without_a_time_of_day_count_for_the_day_alone(events):
    utc, kolkata = datetime(2024, 3, 1), datetime(2024, 2, 29, 18, 30)
    assert find(events(*[("ann", utc, None)] * 9), 5, 100) == []
    assert find(events(*[("ann", utc, None)] * 9), 5, 8) == [("ann", "day", utc)]
    assert find(events(*[("ann", kolkata, None)] * 9), 5, 100, "Asia/Kolkata") == []
    assert find(events(*[("ann", kolkata, None)] * 9), 5, 100) == [("ann", "minute", kolkata)]


def test_events_with_hours_alone_count_for_the_day_alone(events):
    hours = [("ann", datetime(2024, 3, 1, n % 3), None) for n in range(30)]
    assert find(events(*hours), 5, 100) == []
    assert find(events(*hours), 5, 29) == [("ann", "day", datetime(2024, 3, 1))]


def test_only_days_with_more_events_than_the_lower_limit_are_counted_exactly(rows):
    one, two = date(2024, 3, 1), date(2024, 3, 2)
    counts = rows(
        "user_id string, event_date date, n long",
        ("ann", one, 3), ("ann", one, 3), ("ann", two, 5), ("bob", one, 5),
    )  # fmt: skip
    assert [tuple(row) for row in find_busy_days(counts, 5, 100).collect()] == [("ann", one)]


def test_kept_events_of_a_window_are_rejected_by_the_rule_of_the_shorter_one(events, rows):
    frame = events(*in_a_minute("ann", 2), ("ann", START + timedelta(hours=1), None))
    windows = rows(
        "user_id string, window string, window_start timestamp",
        ("ann", "minute", START), ("ann", "day", datetime(2024, 3, 1)), ("bob", "minute", START),
    )  # fmt: skip
    marked = mark_fast_events(frame, windows).orderBy("event_ts").collect()
    rules = [row["rate_rule"] for row in marked]
    assert rules == ["bot:events_per_minute"] * 2 + ["bot:events_per_day"]
    rejected = reject_fast_events(frame, windows).orderBy("event_ts").collect()
    assert [(row["status"], row["reasons"]) for row in rejected] == [
        ("rejected", [rule]) for rule in rules
    ]


def test_rejected_rows_that_were_events_except_for_their_rate_are_events_again(rows):
    row = '{"event_date":"2024-03-01","event_type":"view","price":2.5,"sequence":7}'
    schema = ", ".join(f"{c.name} {c.type.simpleString()}" for c in REJECTED_EVENTS.columns)
    day = date(2024, 3, 2)

    def rejected(row_id: str, reasons: list[str]) -> tuple:
        return (row_id, "shop", "ann", "e1", START, reasons, row, "f", 0, START, day)

    frame = rows(schema, rejected("r1", ["bot:events_per_day"]), rejected("r2", ["bot:user_agent"]))
    (found,) = select_rejected_by_rate(frame).collect()
    assert found["row_id"] == "r1"
    assert {name: found[name] for name in EVENTS.column_names() if found[name] is not None} == {
        "event_id": "e1", "user_id": "ann", "event_ts": START, "event_date": date(2024, 3, 1),
        "event_type": "view", "sequence": 7, "price": 2.5, "source": "shop", "ingest_ts": START,
        "load_date": day,
    }  # fmt: skip
