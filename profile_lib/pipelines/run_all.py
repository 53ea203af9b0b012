"""Run the core jobs in order, and continue a run that failed."""

import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.cli import JobFunction
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.mapping import read_mapping
from profile_lib.fingerprint import hash_text
from profile_lib.pipelines import (
    build_behaviour,
    build_examples,
    build_sessions,
    ingest_events,
    refresh_profiles,
    simulate_events,
    train_model,
)
from profile_lib.pipelines.run_state import RunState
from profile_lib.profiles.card import format_profile_card
from profile_lib.progress import format_duration
from profile_lib.tables import BEHAVIOUR, EVENTS, EXAMPLES, SESSIONS, TABLES, USER_PROFILES, Table
from profile_lib.training.evaluation.report import format_report

log = logging.getLogger(__name__)


class Stage(NamedTuple):
    """A job, the table that it fills, and its share of the time."""

    name: str
    run: JobFunction
    table: Table | None
    share: float  # typical share of the time of all stages, by which the time left is estimated
    takes_now: bool = False  # whether the job takes the moment of the run


STAGES = (
    Stage("simulate_events", simulate_events.run, None, 0.02),
    Stage("ingest_events", ingest_events.run, EVENTS, 0.06, takes_now=True),
    Stage("build_sessions", build_sessions.run, SESSIONS, 0.02),
    Stage("build_behaviour", build_behaviour.run, BEHAVIOUR, 0.05),
    Stage("build_examples", build_examples.run, EXAMPLES, 0.05),
    Stage("train_model", train_model.run, None, 0.68),
    Stage("refresh_profiles", refresh_profiles.run, USER_PROFILES, 0.12, takes_now=True),
)
N_CARDS = 3  # profile cards in the summary


def run(store: Store, settings: Settings, *, now: datetime) -> None:
    """Run the stages that are not done yet, then log a summary.

    `now` is passed to the jobs that take it. Raises the InputError of a stage that fails; the same
    run continues there.
    """
    state = RunState(settings.paths.work, run_fingerprint(settings))
    try:
        run_stages(store, settings, state, stages_for(settings), now)
    except InputError as error:
        advice = "run_all: fix it and run the same command, which continues at this stage"
        raise type(error)(f"{error}\n{advice}") from error
    log_summary(store, settings)


def run_stages(
    store: Store, settings: Settings, state: RunState, stages: Sequence[Stage], now: datetime
) -> None:
    """Run the stages that `state` does not list as done.

    The time and the rows of each stage are logged, and an estimate of the time left. A training
    that was interrupted is resumed. `now` is passed to the jobs that take it.
    """
    start, share_run = time.monotonic(), 0.0
    for number, stage in enumerate(stages, start=1):
        head = f"[{number}/{len(stages)}] {stage.name:<17}"
        if stage.name in state.done:
            log.info(f"{head} done before, skipped")
            continue
        is_resumed = state.running_stage == stage.name == "train_model" and train_model.can_resume(
            settings
        )
        log.info(f"{head} {'resumed' if is_resumed else ''}…")
        stage_start = time.monotonic()
        state.begin(stage.name)
        options = {"resume": True} if is_resumed else {}
        stage.run(store, settings, **options, **({"now": now} if stage.takes_now else {}))
        n_rows = store.read(stage.table).count() if stage.table else None
        state.finish(stage.name)
        end = time.monotonic()
        share_run += stage.share
        share_left = sum(other.share for other in stages[number:])
        _log_stage_end(head, end - stage_start, n_rows, (end - start) * share_left / share_run)
    state.clear()


def _log_stage_end(head: str, seconds: float, n_rows: int | None, seconds_left: float) -> None:
    line = f"{head} {format_duration(seconds):>7}"
    line += " " * 18 if n_rows is None else f" {n_rows:>12,} rows"
    if seconds_left:
        line += f"   about {format_duration(seconds_left)} left"
    fields = {"seconds": round(seconds, 1), "rows": n_rows, "seconds_left": round(seconds_left, 1)}
    log.info(line.rstrip(), extra={"fields": fields})


def log_summary(store: Store, settings: Settings) -> None:
    """Log the sizes of tables, test metrics, some profile cards and the report's address."""
    lines = ["", "Tables"]
    for table in TABLES:
        if store.exists(table):
            n_rows = store.read(table).count()
            lines.append(f"  {table.name:<22} {n_rows:>12,} rows  {store.path(table)}")
    model = Path(settings.paths.models) / settings.training.name
    report = json.loads((model / "report.json").read_text(encoding="utf-8"))
    lines += ["", "Test split: model and baselines"]
    lines += [f"  {line}" for line in format_report(report["tasks"])]
    lines.append("")
    for profile in _sample_profiles(store.read(USER_PROFILES)).collect():
        lines.append(format_profile_card(profile.asDict(recursive=True)))
    lines += ["", f"Report: {(model / 'report.html').resolve().as_uri()}"]
    for line in lines:
        log.info(line)


def _sample_profiles(profiles: DataFrame) -> DataFrame:
    """Select the profiles of a few users with several recent events, the same every time."""
    with_history = profiles.where(F.size("recent") >= 5)
    return with_history.orderBy(F.xxhash64("user_id")).limit(N_CARDS)


def stages_for(settings: Settings) -> list[Stage]:
    """Return all stages, without the simulator if its events are not those to ingest."""
    is_simulated = settings.ingest.inputs.get("events") == settings.simulate.events_path
    return [stage for stage in STAGES if is_simulated or stage.name != "simulate_events"]


def run_fingerprint(settings: Settings) -> str:
    """Hash the settings that determine what a run computes, and the contents of the mapping.

    The path of the mapping is left out, because it differs if the files of an archive are unpacked
    again.
    """
    values = settings.model_dump_json(exclude={"logging": True, "ingest": {"mapping"}})
    return hash_text(values + read_mapping(settings.ingest.mapping).model_dump_json())
