"""impressions, events → feedback, its measures, and the readouts of experiments.

With a date only of the days that what arrived on it can concern, and of those not complete yet.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime

from pyspark.sql import DataFrame

from profile_lib.config.feedback import ExperimentSettings, FeedbackSettings
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.feedback.attribution import build_feedback, check_impressions, days_within_window
from profile_lib.feedback.experiments import Readout, compare_arms
from profile_lib.feedback.kpis import measure_arms, measure_feedback
from profile_lib.feedback.ratio_moments import Moments
from profile_lib.spark.moments import latest_event_time
from profile_lib.tables import EVENTS, EXPERIMENT_READOUTS, FEEDBACK, FEEDBACK_MEASURES, IMPRESSIONS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Tell what became of all that was shown, or what changes by what arrived on `day`.

    Raises InputError where impressions contradict each other, or where an experiment's arms are
    not those of the settings.
    """
    config = settings.feedback
    as_of = latest_event_time(store.read(EVENTS))
    if day is None:
        store.replace(FEEDBACK, _build(store, config, as_of))
        _measure(store, config)
    elif days := _affected_days(store, config, day):
        again = _build(store, config, as_of, days_within_window(days, config.window))
        where = _date_condition("shown_date", days)
        stored = store.read_or_empty(FEEDBACK).where(where)
        store.upsert(FEEDBACK, again.where(where).subtract(stored))  # what is new, no more
        _measure(store, config, where)
    record_experiment_readouts(store, config, as_of.date())


def _affected_days(store: Store, config: FeedbackSettings, day: date) -> set[date]:
    def dates(frame: DataFrame, where: str, column: str) -> set[date]:
        return {row[0] for row in frame.where(where).select(column).distinct().collect()}

    arrived = f"to_date(ingest_ts) = DATE '{day}'"
    news = dates(store.read(EVENTS), arrived, "event_date")
    news |= dates(store.read(IMPRESSIONS), arrived, "shown_date")
    not_over = dates(store.read_or_empty(FEEDBACK), "NOT is_complete", "shown_date")
    return days_within_window(news, config.window) | not_over


def _build(
    store: Store, config: FeedbackSettings, as_of: datetime, days: set[date] | None = None
) -> DataFrame:
    impressions, events = store.read(IMPRESSIONS), store.read(EVENTS)
    if days is not None:
        impressions = impressions.where(_date_condition("shown_date", days))
        events = events.where(_date_condition("event_date", days))
    check_impressions(impressions)
    return build_feedback(
        impressions,
        events,
        window=config.window,
        click_types=config.click_types,
        as_of=as_of,
    )


def _measure(store: Store, config: FeedbackSettings, where: str | None = None) -> None:
    feedback = store.read(FEEDBACK)
    chosen = feedback if where is None else feedback.where(where)
    found = measure_feedback(chosen, config.dimensions, config.confidence_level)
    store.replace(FEEDBACK_MEASURES, found, where=where)


def record_experiment_readouts(store: Store, config: FeedbackSettings, as_of: date) -> None:
    """Add what a look at the feedback tells of each experiment; an earlier one of the day goes.

    Raises InputError where a user is in two arms, or where the arms are not those of the settings.
    """
    rows = [
        {"as_of_date": as_of, "experiment": name, **asdict(readout)}
        for name, experiment in config.experiments.items()
        for readout in _compare_arms_of(store, config, name, experiment)
    ]
    if rows:
        told = store.spark.createDataFrame(rows, EXPERIMENT_READOUTS.schema)
        store.replace(EXPERIMENT_READOUTS, told, where=f"as_of_date = DATE '{as_of}'")


def _compare_arms_of(
    store: Store, config: FeedbackSettings, name: str, experiment: ExperimentSettings
) -> list[Readout]:
    rows = measure_arms(store.read(FEEDBACK), name).collect()  # one an arm
    if n_users_in_several_arms := sum(row["n_users_in_several_arms"] for row in rows):
        raise InputError(
            f"experiment {name}: {n_users_in_several_arms:,} users were in more than one arm, wanted one a user; "
            "assign arms by a hash of the user"
        )
    return compare_arms(
        name,
        {row["variant"]: {m: Moments(*row[m]) for m in ("ctr", "revenue")} for row in rows},
        control=experiment.control,
        shares=experiment.shares,
        effects={"ctr": experiment.ctr_effect, "revenue": experiment.revenue_effect},
        alpha=config.alpha,
        mismatch_alpha=config.mismatch_alpha,
        min_users=config.min_users,
    )


def _date_condition(column: str, days: Iterable[date]) -> str:
    listed = ", ".join(f"DATE '{day}'" for day in sorted(days))
    return f"{column} IN ({listed})"
