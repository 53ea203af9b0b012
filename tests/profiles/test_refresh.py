"""Whose profile is computed, and as of when."""

from datetime import date, datetime

from profile_lib.profiles.refresh import refresh_cutoffs

EVENTS = "user_id string, event_ts timestamp, ingest_ts timestamp"
LOG = [
    ("ann", datetime(2026, 1, 1, 9), datetime(2026, 1, 1, 10)),
    ("ann", datetime(2026, 1, 3, 9), datetime(2026, 1, 3, 9)),
    ("bob", datetime(2026, 1, 1, 9), datetime(2026, 1, 2, 7)),  # late
]


def cutoffs(spark, day: date | None) -> dict[str, datetime]:
    found = refresh_cutoffs(spark.createDataFrame(LOG, EVENTS), day).collect()
    return {row["user_id"]: row["cutoff_ts"] for row in found}


def test_everybody_is_looked_at_just_after_the_last_thing_known(spark):
    assert cutoffs(spark, None) == {
        "ann": datetime(2026, 1, 3, 9, 0, 0, 1),
        "bob": datetime(2026, 1, 2, 7, 0, 0, 1),
    }


def test_a_day_takes_those_of_whom_something_arrived_and_nobody_back_in_time(spark):
    assert cutoffs(spark, date(2026, 1, 1)) == {"ann": datetime(2026, 1, 3, 9, 0, 0, 1)}
    assert cutoffs(spark, date(2026, 1, 2)) == {"bob": datetime(2026, 1, 2, 7, 0, 0, 1)}
    assert cutoffs(spark, date(2026, 1, 4)) == {}
