"""What `chaos.py` puts under kills.

A trial writes events, tells by which signs the phases begin, waits until all is through, and counts
what is wrong with the outcome.
"""

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

from benchmarks.kills import Sign, Victim
from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.tables import EVENTS
from tests.worlds import CONF

STUCK_SECONDS = 300
GRACE_SECONDS = 10  # what the killed leave behind may end by itself
BEFORE_COMMIT, COMMITTED = r"\.json", r"/\d+\.json$"  # the log's file under its passing name too
PHASES = ("reading", "computing", "writing", "committing", "checkpointing")
DATA = r"^(?!.*_delta_log).*\.(parquet|bin)$"


class Kill(NamedTuple):
    """Who dies, how long after a phase of what has begun, and whether a refresh runs beside."""

    part: str
    which: float  # of several: 0 the first, below 1 the last
    work: str  # stream or refresh
    phase: str
    delay: float
    during_refresh: bool


class Stuck(Exception):
    """A stream that did not come back."""


class Trial(ABC):
    """A stream in a folder of its own, which comes back whenever it ends."""

    module: str
    parts: Sequence[str]
    works: Sequence[str]
    phases: Sequence[str]

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.folder = folder
        self.changes = [f"paths.{name}={folder}/{name}" for name in ("tables", "models", "work")]
        self.changes += ["refresh.user_buckets=2", "refresh.buckets_per_chunk=2"]
        self.changes += [f"stream.checkpoint={folder}/checkpoint", "stream.state_partitions=1"]
        self.settings = load_settings(str(CONF / "dev.yaml"), self.changes)
        self.store = Store(
            spark, self.settings.paths.tables, max_attempts=8, first_wait_seconds=0.5
        )
        self.prepare()
        self.start()

    def start(self) -> None:
        """A victim, or the next one."""
        log = self.folder / "victim.log"
        self.victim = Victim(self.module, self.changes, CONF / "dev.yaml", log)
        self.n_restarts = getattr(self, "n_restarts", -1) + 1

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait, and start the stream again wherever it ended. Raises Stuck."""
        end, before = time.monotonic() + STUCK_SECONDS, self.n_restarts
        while not is_so():
            if time.monotonic() > end or self.n_restarts > before + 3:
                raise Stuck(self.victim.log_tail())
            if self.victim.process.poll() is not None:
                self.victim.stop(GRACE_SECONDS)
                self.start()
            time.sleep(0.05)

    def is_through(self) -> bool:
        """Whether the stream is there, and a batch that holds the last commit of events done."""
        if self.victim.process.poll() is not None:
            return False
        offsets, commits = (self.checkpoint / name for name in ("offsets", "commits"))
        batches = [int(p.name) for p in offsets.glob("*") if p.name.isdigit()]
        if not batches or not (commits / str(max(batches))).exists():
            return False
        offset = json.loads((offsets / str(max(batches))).read_text().splitlines()[-1])
        return (offset["reservoirVersion"], offset["index"]) > (self.version, -1)  # whole commits

    def remember_version(self) -> None:
        """Remember how far the stream has to come."""
        self.version = self.store.version(EVENTS)

    def faults(self) -> Counter[str]:
        """How many users are wrong, by kind; `unreadable` where a table cannot be read."""
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
        """Of the query."""
        return Path(self.settings.stream.checkpoint)

    def signs_in(self, table: str) -> dict[str, Sign]:
        """Of what is merged into a table."""
        written = self.folder / "tables" / table
        return {
            "reading": Sign(self.checkpoint / "offsets", "."),
            "writing": Sign(written, DATA),
            "committing": Sign(written / "_delta_log", BEFORE_COMMIT),
            "checkpointing": Sign(written / "_delta_log", COMMITTED),
        }

    @abstractmethod
    def prepare(self) -> None:
        """Write what is there before the first start."""

    @abstractmethod
    def signs(self, work: str) -> dict[str, Sign]:
        """By phase."""

    @abstractmethod
    def trigger_work(self, kill: Kill) -> None:
        """Write something that sets off the work."""

    @abstractmethod
    def write_events(self) -> None:
        """Write events once more."""

    def finish(self) -> None:
        """Set off what the stream itself does not do."""
        return

    def is_idle(self) -> bool:
        """Whether nothing runs any more."""
        return self.is_through()

    @abstractmethod
    def count_faults(self) -> Counter[str]:
        """Users by what is wrong with them."""
