"""Build the behaviour of users as of the cutoffs of training examples."""

from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.examples.cutoffs import choose_cutoffs
from profile_lib.features.behaviour import build_behaviour
from profile_lib.features.catalog_words import project_catalog
from profile_lib.features.histories import select_past_events, unfold_events
from profile_lib.people.membership import find_people_of_ids
from profile_lib.pipelines.known_events import find_known_until
from profile_lib.pipelines.person_data import (
    find_histories_as_of,
    read_person_events,
    read_person_histories,
)
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.spark.session import cached
from profile_lib.spark.timestamps import from_micros, known_time, midnight
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS, PEOPLE
from profile_lib.tables.events import PAST_INSTRUCTIONS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Build the behaviour as of all chosen cutoffs, or as of those on `day`.

    Without `examples.last_cutoff` the last cutoff is the moment until which events are known minus
    the horizon, so that the labels of all cutoffs are known. Raises InputError if there is no
    event, or no cutoff on any day.
    """
    config = settings.examples
    update_histories(store, settings)
    if config.last_cutoff is None:
        last_cutoff = find_known_until(store) - timedelta(hours=config.horizon_hours)
    else:
        last_cutoff = midnight(config.last_cutoff)
    if day is not None and config.calendar_days is None:
        past = _select_events_of_active_users(store, settings, day)
    else:
        past = select_past_events(read_person_events(store), "user_id")
    cutoffs = choose_cutoffs(
        past,
        gap=settings.sessions.gap,
        cutoffs_per_session=config.cutoffs_per_session,
        train_cutoffs_per_session=config.train_cutoffs_per_session,
        train_until=midnight(config.validation_from),
        max_cutoffs_per_user=config.max_cutoffs_per_user,
        min_events=config.min_session_events,
        calendar_days=config.calendar_days,
        first_cutoff=None if config.first_cutoff is None else midnight(config.first_cutoff),
        last_cutoff=last_cutoff,
        seed=config.seed,
    )
    if day is not None:
        cutoffs = cutoffs.where(F.to_date("cutoff_ts") == F.lit(day))
    with cached(cutoffs) as cutoffs:
        if day is None and cutoffs.isEmpty():
            raise InputError(_explain_no_cutoffs(past, last_cutoff))
        histories = find_histories_as_of(store, settings, cutoffs)
        catalog = project_catalog(store.read(ITEMS))
        behaviour = build_behaviour(histories, catalog, **settings.behaviour_rules())
        where = None if day is None else f"CAST(cutoff_ts AS DATE) = '{day}'"
        store.replace(BEHAVIOUR, behaviour, where=where)


def _explain_no_cutoffs(past: DataFrame, last_cutoff: datetime) -> str:
    """Say why there is no cutoff, and what to do."""
    first = past.agg(F.unix_micros(F.min("event_ts")), F.unix_micros(F.min(known_time()))).first()
    happened, known = (None if micros is None else from_micros(micros) for micros in first or ())
    problem = f"behaviour: no cutoff until {last_cutoff:%Y-%m-%d %H:%M} UTC"
    if happened is not None and known is not None and happened <= last_cutoff < known:
        return (
            f"{problem}; events happened from {happened:%Y-%m-%d} on, but the first one arrived at "
            f"{known:%Y-%m-%d %H:%M}. {PAST_INSTRUCTIONS}"
        )
    return (
        f"{problem}, the end of the events less examples.horizon_hours, or examples.last_cutoff; "
        "wanted sessions of at least examples.min_session_events events before then: lower one "
        "of them, or change examples.first_cutoff"
    )


def _select_events_of_active_users(store: Store, settings: Settings, day: date) -> DataFrame:
    """Select all events of people whose events or ids became known on `day`.

    Nearly all come from histories; `events` is read for people with more events than those hold.
    """
    events, people = store.read(EVENTS), store.read_or_empty(PEOPLE)
    first, end = F.lit(day - timedelta(days=1)), F.lit(day + timedelta(days=1))

    def is_near(name: str) -> Column:
        return (F.col(name) >= first) & (F.col(name) < end)

    ids = events.where(is_near("event_date") | is_near("ingest_ts")).select("user_id")
    linked = people.where(is_near("known_ts")).select("user_id")
    active = find_people_of_ids(ids.union(linked), people)
    histories = read_person_histories(store, settings, active)
    is_whole = F.col("older_known_ts").isNull()
    long = histories.where(~is_whole).select("user_id")
    of_long = select_past_events(read_person_events(store, persons=long), "user_id")
    return unfold_events(histories.where(is_whole)).unionByName(of_long)
