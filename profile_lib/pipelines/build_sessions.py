"""Build all sessions, or those that one day's arrivals change."""

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
    """Build all sessions, or only those that the arrivals of `day` can change."""
    gap = settings.sessions.gap
    if day is None:
        store.replace(SESSIONS, build_sessions(store.read(EVENTS), gap))
    else:
        _update_sessions(store, gap, day)


def _update_sessions(store: Store, gap: timedelta, day: date) -> None:
    events = store.read(EVENTS)
    arrived = events.where(F.to_date("ingest_ts") == F.lit(day))
    with cached(find_affected_spans(arrived, gap)) as spans:
        if (bounds := _find_time_bounds(spans)) is None:
            return  # nothing arrived on that day
        stored = store.read_or_empty(SESSIONS)
        near = stored.where(f"end_ts >= {bounds.first_ts} AND start_ts <= {bounds.last_ts}")
        _rebuild_affected(store, events, find_affected_sessions(near, spans), spans, gap)


def _rebuild_affected(
    store: Store, events: DataFrame, affected: DataFrame, spans: DataFrame, gap: timedelta
) -> None:
    with cached(widen_spans(spans, affected)) as widened:
        bounds = _find_time_bounds(widened)
        assert bounds is not None  # there is a span per user with arrivals
        days = f"BETWEEN DATE '{bounds.first_date}' AND DATE '{bounds.last_date}'"
        near = select_events_in_spans(events.where(f"event_date {days}"), widened)
        store.upsert(SESSIONS, diff_sessions(build_sessions(near, gap), affected))


@dataclass(frozen=True)
class _TimeBounds:
    """The first and the last moment of all spans, as SQL and as UTC dates."""

    first_ts: str
    last_ts: str
    first_date: date
    last_date: date


def _find_time_bounds(spans: DataFrame) -> _TimeBounds | None:
    first, last = F.min("from_ts"), F.max("to_ts")
    bounds = spans.agg(
        F.unix_micros(first).alias("first"),
        F.unix_micros(last).alias("last"),
        F.to_date(first).alias("first_date"),
        F.to_date(last).alias("last_date"),
    ).first()
    if bounds is None or bounds["first"] is None:
        return None
    return _TimeBounds(
        f"timestamp_micros({bounds['first']})",
        f"timestamp_micros({bounds['last']})",
        bounds["first_date"],
        bounds["last_date"],
    )
