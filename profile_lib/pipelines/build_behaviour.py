"""Build the behaviour of users as of the cutoffs of training examples."""

from datetime import date, timedelta

from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.examples.cutoffs import choose_cutoffs
from profile_lib.features.as_of import join_events_as_of
from profile_lib.features.behaviour import build_behaviour
from profile_lib.spark.timestamps import known_until, midnight
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Build the behaviour as of all chosen cutoffs, or as of those on `day`.

    Without `examples.last_cutoff` the last cutoff is the moment until which events are known minus
    the horizon, so that the labels of all cutoffs are known. Raises InputError if there is no
    event.
    """
    config = settings.examples
    events = store.read(EVENTS)
    if config.last_cutoff is None:
        last_cutoff = known_until(events) - timedelta(hours=config.horizon_hours)
    else:
        last_cutoff = midnight(config.last_cutoff)
    cutoffs = choose_cutoffs(
        events,
        gap=settings.sessions.gap,
        cutoffs_per_session=config.cutoffs_per_session,
        train_cutoffs_per_session=config.train_cutoffs_per_session,
        train_until=midnight(config.validation_from),
        min_events=config.min_session_events,
        calendar_days=config.calendar_days,
        first_cutoff=None if config.first_cutoff is None else midnight(config.first_cutoff),
        last_cutoff=last_cutoff,
        seed=config.seed,
    )
    if day is not None:
        cutoffs = cutoffs.where(F.to_date("cutoff_ts") == F.lit(day))
    events_as_of = join_events_as_of(events, cutoffs)
    behaviour = build_behaviour(events_as_of, store.read(ITEMS), **settings.behaviour_rules())
    where = None if day is None else f"CAST(cutoff_ts AS DATE) = '{day}'"
    store.replace(BEHAVIOUR, behaviour, where=where)
