"""Compute points in time, in UTC, from days and events."""

from datetime import UTC, date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.errors import InputError


def midnight(day: str) -> datetime:
    """Return the time at which a day, given as YYYY-MM-DD, begins in UTC.

    >>> midnight("2016-09-01")
    datetime.datetime(2016, 9, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC)


def latest_event_time(events: DataFrame) -> datetime:
    """Return the latest time, in UTC, at which an event happened or arrived.

    Raises InputError if there is no event.
    """
    latest = F.unix_micros(F.max(F.greatest("event_ts", "ingest_ts")))
    micros = events.agg(latest).collect()[0][0]
    if micros is None:
        raise InputError("events: found no event; run python jobs/ingest_events.py first")
    return datetime.fromtimestamp(micros / 1e6, UTC)
