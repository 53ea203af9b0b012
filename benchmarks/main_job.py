"""Measure the main job: the demo, GA from files to profiles, and featurizing.

    python -m benchmarks.main_job demo ga featurize [--keep FOLDER]

`demo` is `make demo` in a folder of its own; `ga` is the whole job on two months of GA, whose
tables and model stay in FOLDER for other benchmarks; `featurize` compares sessions with DuckDB at
some of its sizes. Writes benchmarks/results/main_job.json.
"""

import argparse
import json
import tempfile
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.measure import (
    job_command,
    open_store,
    read_report_summary,
    run_measured,
    run_parts,
    settings_in_folder,
    summarise_ratios,
    summarise_repeats,
    time_call,
)
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.sessions import build_sessions as cut_sessions
from profile_lib.pipelines import build_sessions, ingest_events, simulate_events
from profile_lib.pipelines.serving_model import build_current_behaviour
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.spark.session import start_spark
from profile_lib.tables import (
    BEHAVIOUR,
    EVENTS,
    IDENTITY,
    ITEMS,
    SESSIONS,
    USER_HISTORIES,
    USER_PROFILES,
)
from profile_lib.tables.events import EVENT_TYPES

EVENTS_PER_USER = 42  # the simulator makes roughly as many raw rows per user
REPEATS = 3
MILLIONS_COMPARED_WITH_DUCKDB = (1, 9)


def demo(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure `make demo` after set-up, and how many profiles find the user's true interest."""
    config = "conf/demo.yaml"
    with tempfile.TemporaryDirectory() as folder:
        settings, overrides = settings_in_folder(Path(folder), config)
        command = job_command("run_all", config, overrides)
        measured = run_measured(command, Path(folder) / "log")
        spark = start_spark(settings.spark, "benchmark")
        interests = measure_true_interests(spark, settings)
        return measured | interests | {"test": read_report_summary(settings)}


def ga(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure August and September of GA from files to the profile of every user seen."""
    config, kept_folder = "conf/ga.yaml", arguments.keep
    with nullcontext(kept_folder) if kept_folder else tempfile.TemporaryDirectory() as folder:
        settings, overrides = settings_in_folder(Path(folder), config)
        log = Path(folder) / "log"
        measured = run_measured(job_command("run_all", config, overrides), log)
        print(log.read_text()[-6000:])
        store = open_store(settings)
        rows = {t.name: store.read(t).count() for t in (EVENTS, SESSIONS, USER_PROFILES)}
        return measured | {"rows": rows, "test": read_report_summary(settings)}


def featurize(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure ingest, sessions and behaviour as of each user's last event at several sizes."""
    by_millions: dict[str, Any] = {}
    for millions in arguments.millions:
        with tempfile.TemporaryDirectory() as folder:
            store, settings = simulate_shop(folder, millions * 1_000_000)
            n_raw = store.spark.read.parquet(settings.simulate.events_path).count()
            ingest = partial(ingest_events.run, now=datetime.now(UTC))
            seconds = {
                "ingest": time_call(ingest, store, settings),
                "sessions": time_call(build_sessions.run, store, settings, None),
                "behaviour": time_call(build_all_behaviour, store, settings),
            }
            figures = {
                "raw_events": n_raw,
                "events_per_second": round(n_raw / sum(seconds.values())),
                "seconds": {k: round(v, 1) for k, v in seconds.items()},
            }
            if millions in MILLIONS_COMPARED_WITH_DUCKDB:
                figures |= compare_sessions_with_duckdb(folder, store, settings)
            by_millions[str(millions)] = figures
            print(json.dumps(figures), flush=True)
    return {"by_millions": by_millions}


def compare_sessions_with_duckdb(folder: str, store: Store, settings: Settings) -> dict[str, Any]:
    """Build sessions alone from one Parquet: Spark into Delta, DuckDB into Parquet."""
    source, gap = f"{folder}/events.parquet", settings.sessions.gap
    store.read(EVENTS).write.parquet(source)
    events = store.spark.read.parquet(source)
    pairs = [
        (
            time_call(replace_sessions, store, events, gap),
            time_call(build_sessions_in_duckdb, source, f"{folder}/sessions_{turn}.parquet", gap),
        )
        for turn in range(REPEATS + 1)
    ][1:]  # the first turn warms both up
    counted = duckdb.sql(f"SELECT count(*) FROM '{folder}/sessions_1.parquet'").fetchall()
    assert counted == [(store.read(SESSIONS).count(),)]
    spark_seconds, duckdb_seconds = zip(*pairs, strict=True)
    return {
        "spark_sessions_seconds": summarise_repeats(spark_seconds),
        "duckdb_sessions_seconds": summarise_repeats(duckdb_seconds),
        "sessions_rate_to_duckdb": summarise_ratios(duckdb_seconds, spark_seconds),
    }


def replace_sessions(store: Store, events: DataFrame, gap: timedelta) -> None:
    """Build sessions by Spark into Delta."""
    store.replace(SESSIONS, cut_sessions(events, gap))


def build_sessions_in_duckdb(source: str, target: str, gap: timedelta) -> None:
    """Build the columns of `sessions` with two threads of DuckDB.

    The column `path` keeps repeated event types.
    """
    kinds = ", ".join(f"count(*) FILTER (event_type = '{k}') AS n_{k}" for k in EVENT_TYPES)
    order = "ORDER BY event_ts, sequence NULLS FIRST, event_id"
    starts = f"event_ts - lag(event_ts) OVER w > INTERVAL {gap.total_seconds()} SECOND"
    firsts = ", ".join(f"first({c} {order}) AS {c}" for c in ("channel", "device", "region"))
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute(
        f"""COPY (
        WITH marked AS (
            SELECT *, coalesce({starts}, true)::INT AS starts FROM '{source}/*.parquet'
            WINDOW w AS (PARTITION BY user_id {order})),
        numbered AS (
            SELECT *, sum(starts) OVER (PARTITION BY user_id {order}) AS number FROM marked)
        SELECT user_id, number, min(event_ts) AS start_ts, max(event_ts) AS end_ts,
            count(*) AS n_events, {kinds}, count(DISTINCT item_id) AS n_items,
            sum(dwell_seconds) AS dwell_seconds,
            list(position {order}) FILTER (event_type = 'click') AS click_positions,
            list(event_type {order}) AS path,
            sum(price * coalesce(quantity, 1) * CASE event_type
                WHEN 'purchase' THEN 1 WHEN 'return' THEN -1 END) AS order_value,
            {firsts}
        FROM numbered GROUP BY user_id, number
        ) TO '{target}' (FORMAT parquet)"""
    )
    connection.close()


def build_all_behaviour(store: Store, settings: Settings) -> None:
    """Build the behaviour of every user as of the last event, as a refresh computes it."""
    update_histories(store, settings)
    histories = store.read(USER_HISTORIES)
    store.replace(BEHAVIOUR, build_current_behaviour(histories, store.read(ITEMS), settings))


def measure_true_interests(spark: SparkSession, settings: Settings) -> dict[str, Any]:
    """Return how many users have 10 or more events, and the share whose top interest is true."""
    store = Store(spark, settings.paths.tables, settings.paths.identity)
    truth = spark.read.parquet(f"{settings.simulate.truth_path}/users")
    raw_ids = store.read(IDENTITY).select("user_id", F.col("raw_id").alias("uid"))
    n_events = store.read(EVENTS).groupBy("user_id").count().where("count >= 10")
    judged = (
        store.read(USER_PROFILES)
        .join(n_events, "user_id")
        .join(raw_ids, "user_id")
        .join(truth.where("NOT is_bot"), "uid")
        .select((F.get("categories", F.lit(0))["name"] == F.col("top_category")).alias("is_true"))
    )
    row = judged.agg(F.count("*"), F.avg(F.col("is_true").cast("int"))).first()
    assert row is not None
    return {"users_with_10_events": row[0], "true_top_category": round(row[1], 4)}


def simulate_shop(folder: str, n_events: int) -> tuple[Store, Settings]:
    """Simulate a shop of about `n_events` raw events as Parquet in `folder`."""
    users = f"simulate.n_users={n_events // EVENTS_PER_USER}"
    settings, _ = settings_in_folder(Path(folder), "benchmarks/scale.yaml", users)
    store = open_store(settings)
    simulate_events.run(store, settings)
    return store, settings


PARTS = {"demo": demo, "ga": ga, "featurize": featurize}


def main() -> None:
    """Run the requested parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 4, 9, 16])
    parser.add_argument("--keep", help="an empty folder for GA's tables and model")
    arguments = parser.parse_args()
    run_parts("main_job", PARTS, arguments.parts, arguments)


if __name__ == "__main__":
    main()
