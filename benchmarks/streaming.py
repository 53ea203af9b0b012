"""Measure how soon an event is in its profile, and whether a stream slows down.

    python -m benchmarks.streaming rate --events-per-second 100 --minutes 10 --folder FOLDER
    python -m benchmarks.streaming drift --batches 1000 --users 2000 --folder FOLDER

Reads events, items and users of the settings' tables and the model (run the jobs up to train_model
first), works on copies of `--users` users in FOLDER and deletes them afterwards. The real job runs
while a thread appends events by Spark, which takes its share of the cores. Writes
benchmarks/results/streaming.json.

`rate` writes one second's events each second. The delay of an event runs from the second in which
it is due, even if the writer is late, to the commit of user_profiles that holds it. `drift` writes
events whenever a batch is done, and compares the mean seconds of the last hundred batches with the
first hundred after a warm-up.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from benchmarks.measure import PeakMemory, make_parser, open_store, save_result, summarise_repeats
from benchmarks.refresh import scratch_store
from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import stream_profiles
from profile_lib.pipelines.stream_queries import batch_seconds, finished_batches
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES

KINDS = {"view": 0.8, "cart": 0.15, "purchase": 0.05}
ZIPF_EXPONENT = 0.5  # of the users' activity; with 1 a few would look like bots
WARM_UP_SECONDS, WARM_UP_BATCHES, COMPARED_BATCHES = 60, 50, 100
PROGRESS_EVERY = 20  # writes: Spark forgets a query's progress after a hundred batches
TARGETS = {"p95_seconds": 3.0, "last_to_first": 1.10}
# Yields the times at which the next events are due.
WriteTimes = Callable[[StreamingQuery], Iterator[list[float]]]


def write_every_second(minutes: float) -> WriteTimes:
    """Yield one due time per second for some minutes; a late writer gets several at once."""

    def write_times(_query: StreamingQuery) -> Iterator[list[float]]:
        start, n_written = time.time(), 0
        while (seconds := time.time() - start) < minutes * 60:
            n_due = int(seconds) + 1
            yield [start + number for number in range(n_written, n_due)]
            n_written = n_due
            time.sleep(max(0.0, start + n_written - time.time()))

    return write_times


def write_after_each_batch(n: int) -> WriteTimes:
    """Yield `n` due times, each once the previous batch is done."""

    def write_times(query: StreamingQuery) -> Iterator[list[float]]:
        for _ in range(n):
            yield [time.time()]
            query.processAllAvailable()

    return write_times


class Writer(threading.Thread):
    """Append `n_events` at each time that events are due, once the stream has started."""

    def __init__(self, store: Store, n_events: int, seed: int, write_times: WriteTimes) -> None:
        super().__init__(daemon=True)
        users = store.read(EVENTS).select("user_id").distinct().orderBy("user_id")
        self.users = np.array([r[0] for r in users.collect()])
        self.items = np.array([r[0] for r in store.read(ITEMS).select("item_id").collect()])
        self.store, self.n_events, self.write_times = store, n_events, write_times
        self.rng = np.random.default_rng(seed)
        weights = 1 / np.arange(1, len(self.users) + 1) ** ZIPF_EXPONENT
        self.weights = weights / weights.sum()
        self.n = 0
        self.progress = dict[int, Any]()  # by batch, of those with rows
        self.error: Exception | None = None

    def run(self) -> None:
        """Write all events, wait until the stream has read them, and stop it."""
        spark = self.store.spark
        while not (active := spark.streams.active) or active[0].lastProgress is None:
            time.sleep(0.2)
        query = active[0]
        try:
            self._write(query)
            query.processAllAvailable()
            self._record_progress(query)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self.error = error
        query.stop()

    def _write(self, query: StreamingQuery) -> None:
        self.start_time = time.time()
        for number, due_times in enumerate(self.write_times(query)):
            if number % PROGRESS_EVERY == 0:
                self._record_progress(query)
            rows = pd.concat([self._events(moment) for moment in due_times])
            frame = self.store.spark.createDataFrame(rows, EVENTS.schema).coalesce(1)
            frame.write.format("delta").mode("append").save(self.store.path(EVENTS))

    def _record_progress(self, query: StreamingQuery) -> None:
        """Remember the batches that the query still reports, except the first, of older events."""
        for batch in finished_batches(query, after=0):
            if batch["numInputRows"]:
                self.progress[batch["batchId"]] = batch

    def batch_seconds(self) -> list[float]:
        """Seconds of each batch, in order."""
        return [batch_seconds(self.progress[number]) for number in sorted(self.progress)]

    def _events(self, moment: float) -> pd.DataFrame:
        now, n = datetime.fromtimestamp(moment, UTC), self.n_events
        columns = {
            "event_id": [f"streamed {self.n + number}" for number in range(n)],
            "user_id": self.rng.choice(self.users, n, p=self.weights),
            "event_ts": now, "event_date": now.date(), "ingest_ts": now, "load_date": now.date(),
            "event_type": self.rng.choice(list(KINDS), n, p=list(KINDS.values())),
            "item_id": self.rng.choice(self.items, n), "price": 9.0, "source": "benchmark",
        }  # fmt: skip
        self.n += n
        return pd.DataFrame(columns).reindex(columns=EVENTS.column_names()).astype(object)


def run_stream(store: Store, settings: Settings, writer: Writer) -> dict[str, Any]:
    """Run the job until the writer stops it; return the seconds of its batches and peak memory."""
    with PeakMemory(os.getpid()) as memory:
        writer.start()
        stream_profiles.run(store, settings, clock=time.time)
        writer.join()
    if writer.error is not None:
        raise writer.error
    return {
        "users": len(writer.users),
        "batch_seconds": summarise_repeats(writer.batch_seconds()),
        "peak_gib": round(memory.gib, 2),
    }


def rate(store: Store, settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure percentiles of the delay from event to visible at a rate of events."""
    writer = Writer(
        store, arguments.events_per_second, arguments.seed, write_every_second(arguments.minutes)
    )
    figures = run_stream(store, settings, writer)
    delays = measure_visibility(store, writer.start_time)
    warm_up = min(WARM_UP_SECONDS, arguments.minutes * 60 / 2)
    return figures | {
        "events_per_second": arguments.events_per_second,
        "minutes": arguments.minutes,
        "event_to_visible_seconds": percentiles(delays["delay"][delays["second"] >= warm_up]),
        "target_p95_seconds": TARGETS["p95_seconds"],
    }


def drift(store: Store, settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the seconds of the last small batches with those of the first after a warm-up."""
    batches = write_after_each_batch(arguments.batches + WARM_UP_BATCHES)
    writer = Writer(store, arguments.events_per_batch, arguments.seed, batches)
    figures = run_stream(store, settings, writer)
    warm = writer.batch_seconds()[WARM_UP_BATCHES:]
    n_compared = min(COMPARED_BATCHES, len(warm) // 2)
    first, last = np.mean(warm[:n_compared]), np.mean(warm[-n_compared:])
    return figures | {
        "batches": len(warm),
        "events_per_batch": arguments.events_per_batch,
        "batches_compared": n_compared,
        "first_seconds": round(float(first), 3),
        "last_seconds": round(float(last), 3),
        "last_to_first": round(float(last / first), 3),
        "target_last_to_first": TARGETS["last_to_first"],
    }


def measure_visibility(store: Store, start_time: float) -> pd.DataFrame:
    """Return per streamed event the `second` in which it was due and its `delay` in seconds.

    The delay ends with the first commit of a profile as of a later moment; it is null if there is
    none.
    """
    changed = store.changes(USER_PROFILES, 0)
    if changed is None:
        raise SystemExit("the change feed of user_profiles no longer holds its first version")
    is_new = F.col("_change_type").isin("insert", "update_postimage")
    by_moment = changed.where(is_new).groupBy("user_id", "as_of_ts")
    shown = by_moment.agg(F.min("_commit_timestamp").alias("shown_ts")).toPandas()
    events = store.read(EVENTS).where("source = 'benchmark'").select("user_id", "ingest_ts")
    both = pd.merge_asof(
        events.toPandas().sort_values("ingest_ts"),
        shown.sort_values("as_of_ts"),
        left_on="ingest_ts", right_on="as_of_ts", by="user_id",
        direction="forward", allow_exact_matches=False,
    )  # fmt: skip
    start = pd.Timestamp(start_time, unit="s")
    return pd.DataFrame(
        {
            "second": (both["ingest_ts"] - start).dt.total_seconds(),
            "delay": (both["shown_ts"] - both["ingest_ts"]).dt.total_seconds(),
        }
    )


def percentiles(seconds: pd.Series) -> dict[str, Any]:
    """p50, p95, p99 and the maximum; an event that never became visible counts as infinite."""
    delays = seconds.fillna(np.inf)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(float(delays.quantile(q, "higher")), 2) for name, q in shares.items()}


PARTS = {"rate": rate, "drift": drift}


def main() -> None:
    """Run the requested part on copies of the settings' tables."""
    parser = make_parser(__doc__, folder_help="where the copies are written")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--users", type=int, default=20_000, help="known before the stream starts")
    parser.add_argument("--events-per-second", type=int, default=100, help="for `rate`")
    parser.add_argument("--minutes", type=float, default=10, help="of writing, for `rate`")
    parser.add_argument("--events-per-batch", type=int, default=20, help="for `drift`")
    parser.add_argument("--batches", type=int, default=1000, help="for `drift`")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = arguments.folder / "streaming_benchmark"
    settings = with_values(
        load_settings(arguments.config, arguments.set),
        {"stream.checkpoint": str(folder / "checkpoint")},
    )
    source = open_store(settings)
    events = source.read(EVENTS)
    users = events.select("user_id").distinct().orderBy(F.xxhash64("user_id"))
    sample = events.join(users.limit(arguments.users), "user_id", "left_semi")
    with scratch_store(source, folder, sample) as store:
        result = PARTS[arguments.part](store, settings, arguments)
        is_pending = F.col("pending_input").isNotNull().cast("int")
        pending = store.read(USER_PROFILES).agg(F.avg(is_pending)).collect()[0][0]
    rate_name = f"{arguments.events_per_second}_events_per_second"
    name = rate_name if arguments.part == "rate" else arguments.part
    save_result("streaming", name, result | {"share_pending_at_end": round(pending, 4)})


if __name__ == "__main__":
    main()
