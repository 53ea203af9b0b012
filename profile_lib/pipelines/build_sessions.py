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
from profile_lib.pipelines.person_data import (
    NO_PEOPLE,
    find_changed_members,
    people_version,
    read_person_events,
)
from profile_lib.spark.session import cached
from profile_lib.tables import SESSIONS, SESSIONS_STATE


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Build all sessions of people, or those that `day` changes.

    With a `day`, the sessions that events loaded on it can change are built, and all of people who
    gained or lost ids since the last run.
    """
    gap, version = settings.sessions.gap, people_version(store)
    known = _read_known_version(store)
    if day is None:
        store.replace(SESSIONS, build_sessions(read_person_events(store), gap))
    else:
        if version not in (known, NO_PEOPLE):
            _rebuild_people(store, gap, known, version)
        _update_sessions(store, gap, day)
    if version != known:
        row = (SESSIONS.name, version)
        store.upsert(SESSIONS_STATE, store.spark.createDataFrame([row], SESSIONS_STATE.schema))


def _read_known_version(store: Store) -> int:
    """Return the version of `people` that the sessions know."""
    row = store.read_or_empty(SESSIONS_STATE).first()
    return NO_PEOPLE if row is None else int(row["people_version"])


def _rebuild_people(store: Store, gap: timedelta, since: int, until: int) -> None:
    """Build the sessions of people who gained or lost ids again."""
    members = find_changed_members(store, since, until)
    if members is None:  # the change feed no longer reaches back
        store.replace(SESSIONS, build_sessions(read_person_events(store), gap))
        return
    with cached(members.distinct()) as members:
        events = read_person_events(store, persons=members)
        affected = store.read_or_empty(SESSIONS).join(members, "user_id", "left_semi")
        store.upsert(SESSIONS, diff_sessions(build_sessions(events, gap), affected))


def _update_sessions(store: Store, gap: timedelta, day: date) -> None:
    events = read_person_events(store)
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
