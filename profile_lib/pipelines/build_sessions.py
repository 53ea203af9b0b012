"""Build all sessions, or those that the events of one load change."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.session_changes import (
    days_of_spans,
    diff_sessions,
    find_affected_sessions,
    find_affected_spans,
    runs_of_days,
    select_events_in_spans,
    widen_spans,
)
from profile_lib.events.sessions import build_sessions
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, SESSIONS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Build all sessions, or only those that the events loaded on `day` can change."""
    gap = settings.sessions.gap
    if day is None:
        store.replace(SESSIONS, build_sessions(store.read(EVENTS), gap))
    else:
        _update_sessions(store, gap, day)


def _update_sessions(store: Store, gap: timedelta, day: date) -> None:
    events = store.read(EVENTS)
    loaded = events.where(F.col("load_date") == F.lit(day))
    with cached(find_affected_spans(loaded, gap)) as spans:
        runs = _runs_of_days(spans)
        if not runs:
            return  # nothing was loaded on that day
        near = " OR ".join(
            f"(end_ts >= DATE '{first}' AND start_ts < DATE '{last + timedelta(days=1)}')"
            for first, last in runs
        )
        stored = store.read_or_empty(SESSIONS).where(near)
        _rebuild_affected(store, events, find_affected_sessions(stored, spans), spans, gap)


def _rebuild_affected(
    store: Store, events: DataFrame, affected: DataFrame, spans: DataFrame, gap: timedelta
) -> None:
    with cached(widen_spans(spans, affected)) as widened:
        near = " OR ".join(
            f"event_date BETWEEN DATE '{first}' AND DATE '{last}'"
            for first, last in _runs_of_days(widened)
        )
        inside = select_events_in_spans(events.where(near), widened)
        store.upsert(SESSIONS, diff_sessions(build_sessions(inside, gap), affected))


def _runs_of_days(spans: DataFrame) -> list[tuple[date, date]]:
    """Return the runs of consecutive days that the spans touch; Delta reads only their files."""
    return runs_of_days([row["day"] for row in days_of_spans(spans).collect()])
