"""events, items → behaviour: what was known of users at the cutoffs that examples are made of."""

from datetime import date

from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.examples.cutoffs import choose_cutoffs
from profile_lib.features.as_of import join_events_as_of
from profile_lib.features.behaviour import build_behaviour
from profile_lib.spark.moments import midnight
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Build the behaviour at all chosen cutoffs, or at those on `day`.

    Without `examples.last_cutoff` the last cutoff is the last event less the horizon, so that
    what came after every cutoff is known.
    """
    given = settings.examples
    events = store.read(EVENTS)
    cutoffs = choose_cutoffs(
        events,
        gap=settings.sessions.gap,
        cutoffs_per_session=given.cutoffs_per_session,
        train_cutoffs_per_session=given.train_cutoffs_per_session,
        train_until=midnight(given.validation_from),
        min_events=given.min_session_events,
        calendar_days=given.calendar_days,
        first_cutoff=None if given.first_cutoff is None else midnight(given.first_cutoff),
        last_cutoff=None if given.last_cutoff is None else midnight(given.last_cutoff),
        seed=given.seed,
    )
    if given.last_cutoff is None:
        horizon = F.expr(f"INTERVAL {round(given.horizon_hours * 3600)} SECONDS")
        last = events.agg((F.max("event_ts") - horizon).alias("last_ts"))
        cutoffs = cutoffs.join(F.broadcast(last), F.col("cutoff_ts") <= F.col("last_ts"))
    if day is not None:
        cutoffs = cutoffs.where(F.to_date("cutoff_ts") == F.lit(day))
    where = None if day is None else f"CAST(cutoff_ts AS DATE) = '{day}'"
    known = join_events_as_of(events, cutoffs)
    behaviour = build_behaviour(known, store.read(ITEMS), **settings.behaviour_rules())
    store.replace(BEHAVIOUR, behaviour, where=where)
