"""Words of time that several stages share: a day's first moment, and where a session begins."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column, WindowSpec
from pyspark.sql import functions as F


def midnight(day: str) -> datetime:
    """The first moment of a day such as 2016-09-01, UTC."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC)


def seconds(later: Column, earlier: Column) -> Column:
    """Seconds between two timestamps, to the microsecond."""
    return (F.unix_micros(later) - F.unix_micros(earlier)) / 1e6


def seconds_since_last(in_time: WindowSpec) -> Column:
    """Seconds from the event before in a window in order of time; null for the first."""
    return seconds(F.col("event_ts"), F.lag("event_ts").over(in_time))


def begins_session(since_last: Column, gap: timedelta) -> Column:
    """True where an event is the first, or comes more than `gap` after the one before it."""
    return F.coalesce(since_last > gap.total_seconds(), F.lit(True))
