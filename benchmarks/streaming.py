"""How soon an event is in its user's profile, and whether a stream slows down with time.

    python benchmarks/streaming.py rate --events-per-second 100 --minutes 10 --folder FOLDER
    python benchmarks/streaming.py drift --batches 1000 --users 2000 --folder FOLDER

Reads events, items and users of the settings' tables and the model (run the jobs up to train_model
first), works on copies of so many users in FOLDER, which it deletes afterwards, and writes each
part into benchmarks/results/streaming.json.

The real job runs; a thread beside it appends events by Spark, which takes its share of the cores.
`rate`: a second's events each second. An event counts from the tick at which it is handed over,
kept or not, until the commit of user_profiles that holds it; the percentiles of that. `drift`: as
many events whenever a batch is through; the mean seconds of the last hundred batches beside those
of the first after a warm-up.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import PeakMemory, save_result, summarise_repeats
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery
from refresh import scratch_store

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import stream_profiles
from profile_lib.spark.session import start_spark
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES

KINDS = {"view": 0.8, "cart": 0.15, "purchase": 0.05}
ZIPF_EXPONENT = 0.5  # of users by their rank, as Zipf has it; with 1 a few would be bots
WARM_UP_SECONDS, WARM_UP_BATCHES, COMPARED_BATCHES = 60, 50, 100
PROGRESS_EVERY = 20  # write_times; Spark forgets a query's progress after a hundred batches
TARGETS = {"p95_seconds": 3.0, "last_to_first": 1.10}
WriteTimes = Callable[[StreamingQuery], Iterator[list[float]]]  # those that are to be written next


def write_every_second(minutes: float) -> WriteTimes:
    """So long; a writer that is late has several to write."""

    def write_times(_query: StreamingQuery) -> Iterator[list[float]]:
        began, tick = time.time(), 0
        while (seconds := time.time() - began) < minutes * 60:
            due = int(seconds) + 1
            yield [began + number for number in range(tick, due)]
            tick = due
            time.sleep(max(0.0, began + tick - time.time()))

    return write_times


def write_after_each_batch(n: int) -> WriteTimes:
    """So often, each when the batch before is through."""

    def write_times(query: StreamingQuery) -> Iterator[list[float]]:
        for _ in range(n):
            yield [time.time()]
            query.processAllAvailable()

    return write_times


class Writer(threading.Thread):
    """Appends `n_events` a moment, as users make them, from when the stream has begun."""

    def __init__(self, store: Store, n_events: int, seed: int, write_times: WriteTimes) -> None:
        super().__init__(daemon=True)
        users = store.read(EVENTS).select("user_id").distinct().orderBy("user_id")
        self.users = np.array([r[0] for r in users.collect()])
        self.items = np.array([r[0] for r in store.read(ITEMS).select("item_id").collect()])
        self.store, self.n_events, self.write_times = store, n_events, write_times
        self.rng = np.random.default_rng(seed)
        weights = 1 / np.arange(1, len(self.users) + 1) ** ZIPF_EXPONENT
        self.weights = weights / weights.sum()
        self.n, self.commit_seconds = 0, list[float]()
        self.progress = dict[int, Any]()  # of the query's batches with rows
        self.error: Exception | None = None

    def run(self) -> None:
        """Write, and stop the stream when all is through."""
        spark = self.store.spark
        while not (active := spark.streams.active) or active[0].lastProgress is None:
            time.sleep(0.2)
        query = active[0]
        try:
            self._write(query)
            query.processAllAvailable()
            self._record_progress(query)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            self.error = error
        query.stop()

    def _write(self, query: StreamingQuery) -> None:
        self.began = time.time()
        for number, write_times in enumerate(self.write_times(query)):
            if number % PROGRESS_EVERY == 0:
                self._record_progress(query)
            rows, began = pd.concat([self._events(moment) for moment in write_times]), time.time()
            frame = self.store.spark.createDataFrame(rows, EVENTS.schema).coalesce(1)
            frame.write.format("delta").mode("append").save(self.store.path(EVENTS))
            self.commit_seconds.append(time.time() - began)

    def _record_progress(self, query: StreamingQuery) -> None:
        """Remember the batches that the query still tells of, but that of all that was there."""
        for told in query.recentProgress:
            if told["batchId"] > 0 and told["numInputRows"]:
                self.progress[told["batchId"]] = told

    def batch_seconds(self) -> list[float]:
        """How long each batch took, in order."""
        told = [self.progress[number] for number in sorted(self.progress)]
        return [batch["durationMs"]["triggerExecution"] / 1000 for batch in told]

    def _events(self, moment: float) -> pd.DataFrame:
        now, n = datetime.fromtimestamp(moment, UTC), self.n_events
        told = {
            "event_id": [f"streamed {self.n + number}" for number in range(n)],
            "user_id": self.rng.choice(self.users, n, p=self.weights),
            "event_ts": now, "event_date": now.date(), "ingest_ts": now,
            "event_type": self.rng.choice(list(KINDS), n, p=list(KINDS.values())),
            "item_id": self.rng.choice(self.items, n), "price": 9.0, "source": "benchmark",
        }  # fmt: skip
        self.n += n
        return pd.DataFrame(told).reindex(columns=EVENTS.column_names()).astype(object)


def run_stream(store: Store, settings: Settings, writer: Writer) -> dict[str, Any]:
    """Run the job until the writer stops it; what each batch and commit took."""
    with PeakMemory(os.getpid()) as memory:
        writer.start()
        stream_profiles.run(store, settings)
        writer.join()
    if writer.error is not None:
        raise writer.error
    return {
        "users": len(writer.users),
        "events": writer.n,
        "batch_seconds": summarise_repeats(writer.batch_seconds()),
        "writer_commit_seconds": summarise_repeats(writer.commit_seconds),
        "peak_gib": round(memory.gib, 2),
    }


def rate(store: Store, settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Percentiles of event-to-visible at so many events a second."""
    writer = Writer(
        store, arguments.events_per_second, arguments.seed, write_every_second(arguments.minutes)
    )
    told = run_stream(store, settings, writer)
    seconds = measure_visibility(store, writer.began)
    warm = seconds[seconds["at"] >= min(WARM_UP_SECONDS, arguments.minutes * 60 / 2)]
    last = seconds[seconds["at"] >= arguments.minutes * 60 - WARM_UP_SECONDS]
    return told | {
        "minutes": arguments.minutes,
        "events_per_second": arguments.events_per_second,
        "event_to_visible_seconds": percentiles(warm["seconds"]),
        "last_minute_seconds": percentiles(last["seconds"]),
        "never_visible": int(seconds["seconds"].isna().sum()),
        "target_p95_seconds": TARGETS["p95_seconds"],
    }


def drift(store: Store, settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Whether batches take longer in the end than after a warm-up, few events each."""
    batches = write_after_each_batch(arguments.batches + WARM_UP_BATCHES)
    writer = Writer(store, arguments.events_per_batch, arguments.seed, batches)
    told = run_stream(store, settings, writer)
    warm = writer.batch_seconds()[WARM_UP_BATCHES:]
    some = min(COMPARED_BATCHES, len(warm) // 2)
    first, last = np.mean(warm[:some]), np.mean(warm[-some:])
    return told | {
        "batches": len(warm),
        "events_per_batch": arguments.events_per_batch,
        "batches_compared": some,
        "first_seconds": round(float(first), 3),
        "last_seconds": round(float(last), 3),
        "last_to_first": round(float(last / first), 3),
        "target_last_to_first": TARGETS["last_to_first"],
    }


def measure_visibility(store: Store, began: float) -> pd.DataFrame:
    """Of each streamed event `at`, the second at which it came, and how many `seconds` later the
    commit was made that first shows a profile as of after it; null where none does."""
    changed = store.changes(USER_PROFILES, 0)
    if changed is None:
        raise SystemExit("the change feed of user_profiles does not reach back")
    is_new = F.col("_change_type").isin("insert", "update_postimage")
    by_moment = changed.where(is_new).groupBy("user_id", "as_of_ts")
    shown = by_moment.agg(F.min("_commit_timestamp").alias("shown_ts")).toPandas()
    came = store.read(EVENTS).where("source = 'benchmark'").select("user_id", "ingest_ts")
    both = pd.merge_asof(
        came.toPandas().sort_values("ingest_ts"),
        shown.sort_values("as_of_ts"),
        left_on="ingest_ts", right_on="as_of_ts", by="user_id",
        direction="forward", allow_exact_matches=False,
    )  # fmt: skip
    start = pd.Timestamp(began, unit="s")
    return pd.DataFrame(
        {
            "at": (both["ingest_ts"] - start).dt.total_seconds(),
            "seconds": (both["shown_ts"] - both["ingest_ts"]).dt.total_seconds(),
        }
    )


def percentiles(seconds: pd.Series) -> dict[str, Any]:
    """p50, p95, p99 and the most; an event that was never shown counts as never."""
    known = seconds.fillna(np.inf)
    named = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(float(known.quantile(q, "higher")), 2) for name, q in named.items()}


PARTS = {"rate": rate, "drift": drift}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--folder", required=True, help="where the copies are written")
    parser.add_argument("--users", type=int, default=20_000, help="who are known before")
    parser.add_argument("--events-per-second", type=int, default=100, help="for `rate`")
    parser.add_argument("--minutes", type=float, default=10, help="of writing, for `rate`")
    parser.add_argument("--events-per-batch", type=int, default=20, help="for `drift`")
    parser.add_argument("--batches", type=int, default=1000, help="for `drift`")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    folder = Path(arguments.folder) / "streaming_benchmark"
    settings = with_values(settings, {"stream.checkpoint": str(folder / "checkpoint")})
    spark = start_spark(settings.spark, "benchmark")
    source = Store(spark, settings.paths.tables)
    known = source.read(EVENTS)
    some = known.select("user_id").distinct().orderBy(F.xxhash64("user_id")).limit(arguments.users)
    with scratch_store(source, folder, known.join(some, "user_id", "left_semi")) as store:
        result = PARTS[arguments.part](store, settings, arguments)
        waiting = store.read(USER_PROFILES).agg(
            F.avg(F.col("pending_input").isNotNull().cast("int"))
        )
        result["share_pending_at_end"] = waiting.collect()[0][0]
    part = (
        arguments.part
        if arguments.part == "drift"
        else f"{arguments.events_per_second} events a second"
    )
    save_result(
        "streaming", part, {"runtime": settings.refresh.runtime, "seed": arguments.seed} | result
    )


if __name__ == "__main__":
    main()
