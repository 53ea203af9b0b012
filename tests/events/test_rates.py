"""Check which users have more events than a person can make."""

from datetime import datetime

from pyspark.testing import assertDataFrameEqual

from profile_lib.events.rates import find_impossible_rates


def test_all_lines_of_one_order_count_as_one_event(rows):
    ts = datetime(2026, 1, 1, 10)
    events = rows(
        "user_id string, event_id string, event_ts timestamp, event_date date, order_id string",
        *[("ann", f"a{n}", ts, ts.date(), "order 1") for n in range(9)],
        *[("bob", f"b{n}", ts, ts.date(), f"order {n}") for n in range(9)],
    )
    assertDataFrameEqual(
        find_impossible_rates(events, 5, 100).select("user_id", "rate_reason"),
        rows(
            "user_id string, rate_reason string",
            ("bob", "more events in a minute than a person makes: 9"),
        ),
    )
