"""Check until when events are known, whichever clock or delivery is wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.spark.timestamps import known_until, latest_arrival, local_time

EVENT = "event_ts timestamp, ingest_ts timestamp"
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ORDINARY = [(NOON - n * SECOND, NOON - (n - 1) * SECOND) for n in range(1, 4)]


@pytest.mark.parametrize(
    ("one_more", "until"),
    [
        ((NOON, NOON + SECOND), NOON),
        ((NOON + timedelta(hours=23), NOON), NOON),  # a clock that is ahead
        ((datetime(2003, 3, 1, tzinfo=UTC), NOON), NOON - SECOND),  # a clock of 2003
        ((NOON - timedelta(hours=1), NOON + timedelta(days=3)), NOON - SECOND),  # a late delivery
    ],
    ids=["an ordinary event", "a clock ahead", "an old clock", "late"],
)
def test_events_are_known_until_the_last_one_can_have_happened(rows, one_more, until):
    assert known_until(rows(EVENT, *ORDINARY, one_more)) == until


def test_the_latest_arrival_does_not_depend_on_the_clocks_of_events(rows):
    ahead = (NOON + timedelta(hours=23), NOON + SECOND)
    assert latest_arrival(rows(EVENT, *ORDINARY, ahead)) == NOON + SECOND


@pytest.mark.parametrize("find", [known_until, latest_arrival])
def test_without_events_the_job_that_makes_them_is_named(rows, find):
    with pytest.raises(InputError, match="events: found no event; run python jobs/ingest_events"):
        find(rows(EVENT))


def test_a_local_time_is_that_of_the_events_zone_else_of_the_shops(rows):
    events = rows(
        "ts timestamp, time_zone string", (NOON, "America/New_York"), (NOON, None)
    ).withColumn("local", F.hour(local_time(F.col("ts"), "Asia/Kolkata")))
    assert [row["local"] for row in events.collect()] == [7, 17]
