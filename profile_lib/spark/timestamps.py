"""Compute points in time, in UTC, from days and events."""

from datetime import UTC, date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.errors import InputError


def midnight(day: str) -> datetime:
    """Return the time at which a day, given as YYYY-MM-DD, begins in UTC.

    >>> midnight("2016-09-01")
    datetime.datetime(2016, 9, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC)


def from_micros(micros: int) -> datetime:
    """Return the moment of a number of Spark's `unix_micros`.

    Timestamps that are collected are in the time zone of the driver instead, and do not say so.

    >>> from_micros(1_500_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc)
    """
    return datetime.fromtimestamp(micros / 1e6, UTC)


def known_time(event: Column | None = None) -> Column:
    """Return the time at which an event became known: the later of event_ts and ingest_ts.

    These are columns of the frame, or fields of the struct `event`.
    """
    if event is None:
        return F.greatest("event_ts", "ingest_ts")
    return F.greatest(event["event_ts"], event["ingest_ts"])


def happened_time() -> Column:
    """Return the latest time at which an event can have happened.

    It is event_ts, or ingest_ts if that is earlier, because the event's clock was then ahead.
    """
    return F.least("event_ts", "ingest_ts")


def just_after(moment: Column) -> Column:
    """Return the first moment after `moment`: as of it, the events of `moment` are known."""
    return moment + F.expr("INTERVAL 1 MICROSECOND")


def is_in_interval(moment: Column, from_ts: Column, until_ts: Column) -> Column:
    """Return whether a moment is in an interval, whose end is excluded.

    A bound that is null does not count.
    """
    is_since = from_ts.isNull() | (moment >= from_ts)
    return is_since & (until_ts.isNull() | (moment < until_ts))


def local_time(moment: Column, time_zone: str) -> Column:
    """Return a UTC moment as the clock of an event's user shows it.

    The zone is the event's own, else `time_zone`, the shop's; both are IANA names.
    """
    return F.from_utc_timestamp(moment, F.coalesce("time_zone", F.lit(time_zone)))


def known_until(events: DataFrame) -> datetime:
    """Return the latest `happened_time`: until then events are known.

    Neither a clock that is ahead nor an event that arrives long after all others moves it too far.
    Raises InputError if there is no event.
    """
    return _latest(events, happened_time())


def latest_arrival(events: DataFrame) -> datetime:
    """Return the time of the last arrival.

    Raises InputError if there is no event.
    """
    return _latest(events, F.col("ingest_ts"))


def _latest(events: DataFrame, moment: Column) -> datetime:
    micros = events.agg(F.unix_micros(F.max(moment))).collect()[0][0]
    if micros is None:
        raise InputError("events: found no event; run python jobs/ingest_events.py first")
    return from_micros(micros)
