"""events → sessions: all of them, or those that the events which arrived on a day change."""

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.session_changes import (
    diff_sessions,
    find_affected_sessions,
    find_affected_spans,
    select_events_in_spans,
    widen_spans,
)
from profile_lib.events.sessions import build_sessions
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, SESSIONS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Cut all sessions anew, or those of the users whose events arrived on `day`, near these."""
    gap = settings.sessions.gap
    events = store.read(EVENTS)
    if day is None:
        store.replace(SESSIONS, build_sessions(events, gap))
        return
    arrived = events.where(F.to_date("ingest_ts") == F.lit(day))
    with cached(find_affected_spans(arrived, gap)) as spans:
        if (bounds := _find_time_bounds(spans)) is None:
            return  # nothing came on that day
        stored = store.read_or_empty(SESSIONS)
        near = stored.where(f"end_ts >= {bounds.first_ts} AND start_ts <= {bounds.last_ts}")
        _rebuild_affected(store, events, find_affected_sessions(near, spans), spans, gap)


def _rebuild_affected(
    store: Store, events: DataFrame, affected: DataFrame, spans: DataFrame, gap: timedelta
) -> None:
    with cached(widen_spans(spans, affected)) as wide:
        bounds = _find_time_bounds(wide)
        assert bounds is not None  # the spans hold the users of the arrivals
        days = f"BETWEEN DATE '{bounds.first_date}' AND DATE '{bounds.last_date}'"
        again = select_events_in_spans(events.where(f"event_date {days}"), wide)
        changes = diff_sessions(build_sessions(again, gap), affected)
        store.upsert(SESSIONS, changes)


@dataclass(frozen=True)
class _TimeBounds:
    """The time that all spans lie in: as SQL, and as UTC dates for the partitions."""

    first_ts: str
    last_ts: str
    first_date: date
    last_date: date


def _find_time_bounds(spans: DataFrame) -> _TimeBounds | None:
    first, last = F.min("from_ts"), F.max("to_ts")
    found = spans.agg(
        F.unix_micros(first).alias("first"),
        F.unix_micros(last).alias("last"),
        F.to_date(first).alias("first_date"),
        F.to_date(last).alias("last_date"),
    ).first()
    if found is None or found["first"] is None:
        return None
    return _TimeBounds(
        f"timestamp_micros({found['first']})",
        f"timestamp_micros({found['last']})",
        found["first_date"],
        found["last_date"],
    )
