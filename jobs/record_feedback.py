"""impressions, events → feedback, its measures, and the readouts of experiments.

With a date only of the days that what arrived on it can concern, and of those not complete yet.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime

from pyspark.sql import DataFrame

from jobs.command import main
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.feedback.experiment import Readout, read_out
from profile_lib.feedback.measures import measure, measure_arms
from profile_lib.feedback.moments import Moments
from profile_lib.feedback.outcomes import build_feedback, check_impressions, days_near
from profile_lib.sections.uses import ExperimentSettings, FeedbackSettings
from profile_lib.store import Store
from profile_lib.tables import (
    EVENTS,
    EXPERIMENT_READOUTS,
    FEEDBACK,
    FEEDBACK_MEASURES,
    IMPRESSIONS,
)
from profile_lib.timeline import last_known


def run(store: Store, settings: Settings, day: date | None) -> None:
    """Tell what became of all that was shown, or what changes by what arrived on `day`.

    Raises InputError where impressions contradict each other, or where an experiment's arms are
    not those of the settings.
    """
    given = settings.feedback
    known_until = last_known(store.read(EVENTS))
    if day is None:
        store.replace(FEEDBACK, _feedback(store, given, known_until))
        _measure(store, given)
    elif days := _days_concerned(store, given, day):
        again = _feedback(store, given, known_until, days_near(days, given.window))
        where = _falls_on("shown_date", days)
        stored = store.read_or_empty(FEEDBACK).where(where)
        store.upsert(FEEDBACK, again.where(where).subtract(stored))  # what is new, no more
        _measure(store, given, where)
    read_experiments(store, given, known_until.date())


def _days_concerned(store: Store, given: FeedbackSettings, day: date) -> set[date]:
    def dates(frame: DataFrame, where: str, column: str) -> set[date]:
        return {row[0] for row in frame.where(where).select(column).distinct().collect()}

    arrived = f"to_date(ingest_ts) = DATE '{day}'"
    news = dates(store.read(EVENTS), arrived, "event_date")
    news |= dates(store.read(IMPRESSIONS), arrived, "shown_date")
    not_over = dates(store.read_or_empty(FEEDBACK), "NOT is_complete", "shown_date")
    return days_near(news, given.window) | not_over


def _feedback(
    store: Store, given: FeedbackSettings, known_until: datetime, days: set[date] | None = None
) -> DataFrame:
    impressions, events = store.read(IMPRESSIONS), store.read(EVENTS)
    if days is not None:
        impressions = impressions.where(_falls_on("shown_date", days))
        events = events.where(_falls_on("event_date", days))
    check_impressions(impressions)
    return build_feedback(
        impressions,
        events,
        window=given.window,
        click_types=given.click_types,
        known_until=known_until,
    )


def _measure(store: Store, given: FeedbackSettings, where: str | None = None) -> None:
    feedback = store.read(FEEDBACK)
    chosen = feedback if where is None else feedback.where(where)
    found = measure(chosen, given.dimensions, given.interval_share)
    store.replace(FEEDBACK_MEASURES, found, where=where)


def read_experiments(store: Store, given: FeedbackSettings, as_of: date) -> None:
    """Add what a look at the feedback tells of each experiment; an earlier one of the day goes.

    Raises InputError where a user is in two arms, or where the arms are not those of the settings.
    """
    rows = [
        {"as_of_date": as_of, "experiment": name, **asdict(readout)}
        for name, experiment in given.experiments.items()
        for readout in _read_experiment(store, given, name, experiment)
    ]
    if rows:
        told = store.spark.createDataFrame(rows, EXPERIMENT_READOUTS.schema)
        store.replace(EXPERIMENT_READOUTS, told, where=f"as_of_date = DATE '{as_of}'")


def _read_experiment(
    store: Store, given: FeedbackSettings, name: str, experiment: ExperimentSettings
) -> list[Readout]:
    rows = measure_arms(store.read(FEEDBACK), name).collect()  # one an arm
    if n_astray := sum(row["n_astray"] for row in rows):
        raise InputError(
            f"experiment {name}: {n_astray:,} users were in more than one arm, wanted one a user; "
            "assign arms by a hash of the user"
        )
    return read_out(
        name,
        {row["variant"]: {m: Moments(*row[m]) for m in ("ctr", "revenue")} for row in rows},
        control=experiment.control,
        shares=experiment.shares,
        effects={"ctr": experiment.ctr_effect, "revenue": experiment.revenue_effect},
        alpha=given.alpha,
        mismatch_alpha=given.mismatch_alpha,
        least_users=given.least_users,
    )


def _falls_on(column: str, days: Iterable[date]) -> str:
    listed = ", ".join(f"DATE '{day}'" for day in sorted(days))
    return f"{column} IN ({listed})"


if __name__ == "__main__":
    main("record_feedback", run, __doc__)
