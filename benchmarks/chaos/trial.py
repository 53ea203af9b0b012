"""Run a stream under kills: the parts that all trials share."""

import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from benchmarks.chaos.process import Sign, Victim
from benchmarks.measure import path_overrides
from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.tables import EVENTS
from tests.worlds import CONF

STUCK_SECONDS = 300
GRACE_SECONDS = 10  # in which processes that a kill left behind may end by themselves
MAX_RESTARTS = 3  # while waiting for one condition
# The log's file under its temporary name or its own.
BEFORE_COMMIT, COMMITTED = r"\.json", r"/\d+\.json$"
PHASES = ("reading", "computing", "writing", "committing", "checkpointing")
DATA = r"^(?!.*_delta_log).*\.(parquet|bin)$"


class Kill(NamedTuple):
    """The part to kill, and the work and phase whose sign starts the delay."""

    part: str
    which: float  # among several processes: 0 the first, just below 1 the last
    work: str  # stream or refresh
    phase: str
    delay: float  # in seconds
    during_refresh: bool  # whether a refresh runs at the same time


class Stuck(Exception):
    """A stream that did not recover."""


class Trial(ABC):
    """A stream in a folder of its own, restarted whenever it ends."""

    name: str
    module: str
    parts: Sequence[str]
    works: Sequence[str]
    phases: Sequence[str]

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.folder = folder
        self.overrides = path_overrides(folder)
        self.overrides += ["refresh.user_buckets=2", "refresh.buckets_per_chunk=2"]
        self.overrides += [f"stream.checkpoint={folder}/checkpoint"]
        self.settings = load_settings(str(CONF / "dev.yaml"), self.overrides)
        self.store = Store(
            spark,
            self.settings.paths.tables,
            self.settings.paths.identity,
            max_attempts=8,
            first_wait_seconds=0.5,
        )
        self.prepare()
        self.start()

    def start(self) -> None:
        """Start the first victim, or the next one."""
        log = self.folder / "victim.log"
        self.victim = Victim(self.module, self.overrides, CONF / "dev.yaml", log)
        self.n_restarts = getattr(self, "n_restarts", -1) + 1

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, restarting the stream if it ends. Raises Stuck."""
        deadline, restarts_before = time.monotonic() + STUCK_SECONDS, self.n_restarts
        while not condition():
            if time.monotonic() > deadline or self.n_restarts > restarts_before + MAX_RESTARTS:
                raise Stuck(self.victim.log_tail())
            if self.victim.process.poll() is not None:
                self.victim.stop(GRACE_SECONDS)
                self.start()
            time.sleep(0.05)

    def is_through(self) -> bool:
        """Whether the stream runs and has finished a batch with the last commit of events."""
        if self.victim.process.poll() is not None:
            return False
        offsets, commits = (self.checkpoint / name for name in ("offsets", "commits"))
        batches = [int(p.name) for p in offsets.glob("*") if p.name.isdigit()]
        if not batches or not (commits / str(max(batches))).exists():
            return False
        offset = json.loads((offsets / str(max(batches))).read_text().splitlines()[-1])
        # All of a commit is read once the offset stands before the next version.
        return (offset["reservoirVersion"], offset["index"]) > (self.version, -1)

    def remember_version(self) -> None:
        """Remember the version of `events` that the stream has to reach."""
        self.version = self.store.version(EVENTS)

    def faults(self) -> Counter[str]:
        """Count the faulty users by kind; `unreadable` if a table cannot be read."""
        try:
            return self.count_faults()
        except (PySparkException, Py4JError) as error:
            print(error, flush=True)
            return Counter(unreadable=1)

    def stop(self) -> None:
        """Stop the stream."""
        self.victim.stop(0)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the query."""
        return Path(self.settings.stream.checkpoint)

    def signs_in(self, table: str) -> dict[str, Sign]:
        """The signs of a query that merges into a table, by phase."""
        table_folder = self.folder / "tables" / table
        return {
            "reading": Sign(self.checkpoint / "offsets", "."),
            "writing": Sign(table_folder, DATA),
            "committing": Sign(table_folder / "_delta_log", BEFORE_COMMIT),
            "checkpointing": Sign(table_folder / "_delta_log", COMMITTED),
        }

    @abstractmethod
    def prepare(self) -> None:
        """Write the data that exist before the first start."""

    @abstractmethod
    def signs(self, work: str) -> dict[str, Sign]:
        """The signs of a kind of work, by phase."""

    @abstractmethod
    def trigger_work(self, kill: Kill) -> None:
        """Write something that starts the work to be killed."""

    @abstractmethod
    def write_events(self) -> None:
        """Write more events."""

    def finish(self) -> None:
        """Start the work that the stream itself does not do."""
        return

    def is_idle(self) -> bool:
        """Whether no work is left."""
        return self.is_through()

    @abstractmethod
    def count_faults(self) -> Counter[str]:
        """Count the faulty users by kind of fault."""
