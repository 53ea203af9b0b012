"""All jobs in order: progress, resumption after a failure, a summary and three profile cards."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.cli import JobFunction
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.files import write_text_atomically
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
from profile_lib.profiles.card import format_profile_card
from profile_lib.tables import BEHAVIOUR, EVENTS, EXAMPLES, SESSIONS, TABLES, USER_PROFILES, Table
from profile_lib.training.evaluation.report import format_report

STAGES: tuple[tuple[str, JobFunction, Table | None], ...] = (
    ("simulate_events", simulate_events.run, None),
    ("ingest_events", ingest_events.run, EVENTS),
    ("build_sessions", build_sessions.run, SESSIONS),
    ("build_behaviour", build_behaviour.run, BEHAVIOUR),
    ("build_examples", build_examples.run, EXAMPLES),
    ("train_model", train_model.run, None),
    ("refresh_profiles", refresh_profiles.run, USER_PROFILES),
)
N_CARDS = 3


class RunState:
    """Which stages are done, kept beside the run so that a failed one goes on where it stopped.

    Settings or inputs that differ from those of the failed run start it from the beginning.
    """

    def __init__(self, folder: str, fingerprint: str) -> None:
        self.file = Path(folder) / "run_all.json"
        self.fingerprint = fingerprint
        self.done: list[str] = []
        self.running_stage: str | None = None  # the stage at which the failed run ended
        if self.file.is_file():
            kept = json.loads(self.file.read_text(encoding="utf-8"))
            if kept["fingerprint"] == fingerprint:
                self.done, self.running_stage = kept["done"], kept["running_stage"]

    def begin(self, stage: str) -> None:
        """Remember that a stage has begun."""
        self.running_stage = stage
        self._write()

    def finish(self, stage: str) -> None:
        """Remember that a stage is done."""
        self.done.append(stage)
        self.running_stage = None
        self._write()

    def _write(self) -> None:
        told = {
            "fingerprint": self.fingerprint,
            "done": self.done,
            "running_stage": self.running_stage,
        }
        write_text_atomically(self.file, json.dumps(told))

    def clear(self) -> None:
        """The run is complete: the next one starts anew."""
        self.file.unlink(missing_ok=True)


def run_stages(
    store: Store,
    settings: Settings,
    progress: RunState,
    stages: Sequence[tuple[str, JobFunction, Table | None]],
) -> None:
    """Run what is not done yet, a line of time and rows for each."""
    for number, (name, run, table) in enumerate(stages, start=1):
        head = f"[{number}/{len(stages)}] {name:<17}"
        if name in progress.done:
            print(f"{head} done before, skipped", flush=True)
            continue
        is_resumed = progress.running_stage == name == "train_model" and train_model.can_resume(
            settings
        )
        print(f"{head} {'resumed' if is_resumed else ''}…", flush=True)
        began = time.monotonic()
        progress.begin(name)
        run(store, settings, **({"resume": True} if is_resumed else {}))
        rows = f"{store.read(table).count():>12,} rows" if table else " " * 17
        print(f"{head} {time.monotonic() - began:7.1f} s {rows}", flush=True)
        progress.finish(name)
    progress.clear()


def summarise(store: Store, settings: Settings) -> None:
    """Rows of each table, test metrics beside the baselines, and three profile cards."""
    print("\nTables")
    for table in TABLES:
        if store.exists(table):
            print(f"  {table.name:<16} {store.read(table).count():>12,} rows  {store.path(table)}")
    report = Path(settings.paths.models) / settings.training.name / "report.json"
    print("\nTest slice, model beside baselines")
    for line in format_report(json.loads(report.read_text(encoding="utf-8"))["tasks"]):
        print(f"  {line}")
    print()
    for profile in _sample_profiles(store.read(USER_PROFILES)).collect():
        print(format_profile_card(profile.asDict(recursive=True)))


def _sample_profiles(profiles: DataFrame) -> DataFrame:
    """A few users with a history to show, the same ones every time."""
    with_history = profiles.where(F.size("recent") >= 5)
    return with_history.orderBy(F.xxhash64("user_id")).limit(N_CARDS)


def stages_for(settings: Settings) -> list[tuple[str, JobFunction, Table | None]]:
    """All stages, less the simulator where the events are real."""
    events = settings.ingest.inputs.get("events")
    is_simulated = events == settings.simulate.events_path
    return [s for s in STAGES if is_simulated or s[0] != "simulate_events"]


def run(store: Store, settings: Settings) -> None:
    """Run what is left to run, then tell how it came out.

    Raises InputError where a day is given, and where a stage does.
    """
    mark = hash_text(settings.model_dump_json())
    try:
        run_stages(store, settings, RunState(settings.paths.work, mark), stages_for(settings))
    except InputError as error:
        again = "run_all: mend it and run the same command: it goes on here"
        raise InputError(f"{error}\n{again}") from error
    summarise(store, settings)
