"""Words of time that several stages share: a day's first moment, and where a session begins."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column, DataFrame, WindowSpec
from pyspark.sql import functions as F

from profile_lib.errors import InputError


def midnight(day: str) -> datetime:
    """The first moment of a day such as 2016-09-01, UTC."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC)


def latest_event_time(events: DataFrame) -> datetime:
    """The last moment at which an event happened or arrived. Raises InputError where none has."""
    last = F.unix_micros(F.max(F.greatest("event_ts", "ingest_ts")))
    micros = events.agg(last).collect()[0][0]
    if micros is None:
        raise InputError("events: there are none; run python jobs/ingest_events.py first")
    return datetime.fromtimestamp(micros / 1e6, UTC)


def seconds_between(later: Column, earlier: Column) -> Column:
    """Seconds between two timestamps, to the microsecond."""
    return (F.unix_micros(later) - F.unix_micros(earlier)) / 1e6


def seconds_since_previous(in_time: WindowSpec) -> Column:
    """Seconds from the event before in a window in order of time; null for the first."""
    return seconds_between(F.col("event_ts"), F.lag("event_ts").over(in_time))


def is_session_start(since_last: Column, gap: timedelta) -> Column:
    """True where an event is the first, or comes more than `gap` after the one before it."""
    return F.coalesce(since_last > gap.total_seconds(), F.lit(True))
