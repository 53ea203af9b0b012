"""Record the outcome of impressions, their measures and the readouts of experiments."""

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
from profile_lib.pipelines.known_events import find_known_until
from profile_lib.pipelines.person_data import name_people_at
from profile_lib.tables import EVENTS, EXPERIMENT_READOUTS, FEEDBACK, FEEDBACK_MEASURES, IMPRESSIONS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Record the outcome of all impressions, or of those that may have changed on `day`.

    An impression is credited with what the same person did, under whichever id. With a `day`, the
    impressions are those near those that arrived, and near the events that were loaded, on that
    day, and all whose time for conversions was not over at the last run. Raises InputError if
    impressions contradict each other, or if an experiment's arms are not those of the settings.
    """
    config = settings.feedback
    as_of = find_known_until(store)
    if day is None:
        store.replace(FEEDBACK, _build(store, config, as_of))
        _measure(store, config)
    elif days := _affected_days(store, config, day):
        built = _build(store, config, as_of, days_within_window(days, config.window))
        condition = _date_condition("shown_date", days)
        stored = store.read_or_empty(FEEDBACK).where(condition)
        store.upsert(FEEDBACK, built.where(condition).subtract(stored))  # only changed rows
        _measure(store, config, condition)
    record_experiment_readouts(store, config, as_of.date())


def _affected_days(store: Store, config: FeedbackSettings, day: date) -> set[date]:
    """Return the days whose feedback `day` may have changed, or is incomplete."""

    def dates(frame: DataFrame, condition: str, column: str) -> set[date]:
        return {row[0] for row in frame.where(condition).select(column).distinct().collect()}

    new_days = dates(store.read(EVENTS), f"load_date = DATE '{day}'", "event_date")
    arrived = f"to_date(ingest_ts) = DATE '{day}'"  # impressions are written as they arrive
    new_days |= dates(store.read(IMPRESSIONS), arrived, "shown_date")
    incomplete_days = dates(store.read_or_empty(FEEDBACK), "NOT is_complete", "shown_date")
    return days_within_window(new_days, config.window) | incomplete_days


def _build(
    store: Store, config: FeedbackSettings, as_of: datetime, days: set[date] | None = None
) -> DataFrame:
    impressions, events = store.read(IMPRESSIONS), store.read(EVENTS)
    if days is not None:
        impressions = impressions.where(_date_condition("shown_date", days))
        events = events.where(_date_condition("event_date", days))
    check_impressions(impressions)
    return build_feedback(
        name_people_at(store, impressions, "shown_ts"),
        name_people_at(store, events, "event_ts"),
        window=config.window,
        click_types=config.click_types,
        as_of=as_of,
    )


def _measure(store: Store, config: FeedbackSettings, condition: str | None = None) -> None:
    feedback = store.read(FEEDBACK)
    if condition is not None:
        feedback = feedback.where(condition)
    measures = measure_feedback(feedback, config.dimensions, config.confidence_level)
    store.replace(FEEDBACK_MEASURES, measures, where=condition)


def record_experiment_readouts(store: Store, config: FeedbackSettings, as_of: date) -> None:
    """Record a readout of each experiment on the day `as_of`.

    It replaces an earlier readout of that day. Raises InputError if a user is in two arms, or if
    the arms are not those of the settings.
    """
    rows = [
        {"as_of_date": as_of, "experiment": name, **asdict(readout)}
        for name, experiment in config.experiments.items()
        for readout in _compare_arms_of(store, config, name, experiment)
    ]
    if rows:
        readouts = store.spark.createDataFrame(rows, EXPERIMENT_READOUTS.schema)
        store.replace(EXPERIMENT_READOUTS, readouts, where=f"as_of_date = DATE '{as_of}'")


def _compare_arms_of(
    store: Store, config: FeedbackSettings, name: str, experiment: ExperimentSettings
) -> list[Readout]:
    arms = measure_arms(store.read(FEEDBACK), name).collect()
    if n := sum(arm["n_users_in_several_arms"] for arm in arms):
        raise InputError(
            f"experiment {name}: {n:,} users were in more than one arm, wanted one arm per user; "
            "assign arms by a hash of the user"
        )
    return compare_arms(
        name,
        {arm["variant"]: {m: Moments(*arm[m]) for m in ("ctr", "revenue")} for arm in arms},
        control=experiment.control,
        shares=experiment.shares,
        effects={"ctr": experiment.ctr_effect, "revenue": experiment.revenue_effect},
        alpha=config.alpha,
        mismatch_alpha=config.mismatch_alpha,
        min_users=config.min_users,
    )


def _date_condition(column: str, days: Iterable[date]) -> str:
    dates = ", ".join(f"DATE '{day}'" for day in sorted(days))
    return f"{column} IN ({dates})"
