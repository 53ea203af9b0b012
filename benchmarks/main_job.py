"""The main job's figures: make demo, GA from files to profiles, featurizing beside DuckDB.

    python benchmarks/main_job.py demo ga featurize [--keep FOLDER]

GA's tables and model stay in FOLDER, where it is given: other benchmarks go on from
them. Prints each part and writes it into benchmarks/results/main_job.json with date and cores.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
from measure import run_measured, save_result, summarise_repeats
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.events.sessions import build_sessions as cut_sessions
from profile_lib.features.as_of import add_latest_cutoff
from profile_lib.features.behaviour import build_behaviour
from profile_lib.pipelines import build_sessions, ingest_events, simulate_events
from profile_lib.spark.session import start_spark
from profile_lib.tables import BEHAVIOUR, EVENTS, IDENTITY, ITEMS, SESSIONS, USER_PROFILES
from profile_lib.tables.events import EVENT_TYPES

EVENTS_PER_USER = 42  # raw rows the simulator makes of a user, about
REPEATS = 3
AGAINST_DUCKDB = (1, 9)  # millions of events


def demo(arguments: argparse.Namespace) -> dict[str, Any]:
    """`make demo` after set-up, in a folder of its own, and what its profiles know of the truth."""
    with tempfile.TemporaryDirectory() as folder:
        settings, overrides = settings_in_folder(folder, "conf/demo.yaml")
        log = Path(folder) / "log"
        measured: dict[str, Any] = run_measured(run_all_command("conf/demo.yaml", overrides), log)
        spark = start_spark(settings.spark, "benchmark")
        truth = measure_true_interests(spark, settings)
        return measured | truth | {"report": read_test_report(settings)}


def ga(arguments: argparse.Namespace) -> dict[str, Any]:
    """August and September from files to the profile of every user seen."""
    kept = arguments.keep
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        settings, overrides = settings_in_folder(folder, "conf/ga.yaml")
        log = Path(folder) / "log"
        measured: dict[str, Any] = run_measured(run_all_command("conf/ga.yaml", overrides), log)
        print(log.read_text()[-6000:])
        store = Store(start_spark(settings.spark, "benchmark"), settings.paths.tables)
        rows = {t.name: store.read(t).count() for t in (EVENTS, SESSIONS, USER_PROFILES)}
        return measured | {"rows": rows, "report": read_test_report(settings)}


def featurize(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ingest, sessions and behaviour (each user as of the last event) at several sizes.

    At some of them sessions alone against DuckDB, in the same run.
    """
    rates: dict[str, Any] = {}
    for millions in arguments.millions:
        with tempfile.TemporaryDirectory() as folder:
            store, settings = simulate_shop(folder, millions * 1_000_000)
            raw = store.spark.read.parquet(settings.simulate.events_path).count()
            seconds = {
                "ingest": time_call(ingest_events.run, store, settings, None),
                "sessions": time_call(build_sessions.run, store, settings, None),
                "behaviour": time_call(build_all_behaviour, store, settings),
            }
            rates[str(millions)] = {
                "raw_events": raw,
                "seconds": {k: round(v, 1) for k, v in seconds.items()},
                "events_per_second": round(raw / sum(seconds.values())),
            }
            if millions in AGAINST_DUCKDB:
                rates[str(millions)] |= compare_sessions_with_duckdb(folder, store, settings)
            print(json.dumps(rates[str(millions)]), flush=True)
    return {"by_millions": rates}


def compare_sessions_with_duckdb(folder: str, store: Store, settings: Settings) -> dict[str, Any]:
    """Sessions alone, Spark into Delta against DuckDB into Parquet, from the same Parquet."""
    source, gap = f"{folder}/events.parquet", settings.sessions.gap
    store.read(EVENTS).write.parquet(source)
    events = store.spark.read.parquet(source)
    pairs = [
        (
            time_call(replace_sessions, store, events, gap),
            time_call(build_sessions_in_duckdb, source, f"{folder}/sessions_{turn}.parquet", gap),
        )
        for turn in range(REPEATS + 1)
    ][1:]  # the first warms both up
    same = duckdb.sql(f"SELECT count(*) FROM '{folder}/sessions_1.parquet'").fetchall()
    assert same == [(store.read(SESSIONS).count(),)]
    return {
        "events_in_sessions": events.count(),
        "spark_seconds": summarise_repeats([spark for spark, _ in pairs]),
        "duckdb_seconds": summarise_repeats([duck for _, duck in pairs]),
        "sessions_rate_against_duckdb": summarise_repeats([duck / spark for spark, duck in pairs]),
    }


def replace_sessions(store: Store, events: DataFrame, gap: timedelta) -> None:
    """Sessions by Spark into Delta."""
    store.replace(SESSIONS, cut_sessions(events, gap))


def build_sessions_in_duckdb(source: str, target: str, gap: timedelta) -> None:
    """The columns of `sessions` by two threads of DuckDB; repeats stay in its path."""
    kinds = ", ".join(f"count(*) FILTER (event_type = '{k}') AS n_{k}" for k in EVENT_TYPES)
    order = "ORDER BY event_ts, event_id"
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
            sum(price * coalesce(quantity, 1)) FILTER (event_type = 'purchase') AS order_value,
            {firsts}
        FROM numbered GROUP BY user_id, number
        ) TO '{target}' (FORMAT parquet)"""
    )
    connection.close()


def build_all_behaviour(store: Store, settings: Settings) -> None:
    """Behaviour of every user as of the last event, as a refresh computes it."""
    known = add_latest_cutoff(store.read(EVENTS))
    frame = build_behaviour(known, store.read(ITEMS), **settings.behaviour_rules())
    store.replace(BEHAVIOUR, frame)


def measure_true_interests(spark: SparkSession, settings: Settings) -> dict[str, Any]:
    """Share of the users with 10 events or more whose strongest interest is the true one."""
    store = Store(spark, settings.paths.tables)
    truth = spark.read.parquet(f"{settings.simulate.truth_path}/users")
    raw_ids = store.read(IDENTITY).select("user_id", F.col("raw_id").alias("uid"))
    n_events = store.read(EVENTS).groupBy("user_id").count().where("count >= 10")
    found = (
        store.read(USER_PROFILES)
        .join(n_events, "user_id")
        .join(raw_ids, "user_id")
        .join(truth.where("NOT is_bot"), "uid")
        .select((F.get("categories", F.lit(0))["name"] == F.col("top_category")).alias("is_true"))
    )
    row = found.agg(F.count("*"), F.avg(F.col("is_true").cast("int"))).first()
    assert row is not None
    return {"users_with_10_events": row[0], "true_top_category": round(row[1], 4)}


def simulate_shop(folder: str, n_events: int) -> tuple[Store, Settings]:
    """A simulated shop of about so many raw events as Parquet in `folder`."""
    users = f"simulate.n_users={n_events // EVENTS_PER_USER}"
    settings, _ = settings_in_folder(folder, "benchmarks/scale.yaml", users)
    store = Store(start_spark(settings.spark, "benchmark"), settings.paths.tables)
    simulate_events.run(store, settings)
    return store, settings


def settings_in_folder(folder: str, config: str, *more: str) -> tuple[Settings, list[str]]:
    """The settings of `config` with everything that is written moved into `folder`."""
    moved = [f"paths.{name}={folder}/{name}" for name in ("tables", "models", "work")]
    given = load_settings(config)
    if given.ingest.inputs.get("events") == given.simulate.events_path:
        raw = f"{folder}/raw"
        moved += [f"simulate.events_path={raw}/events", f"simulate.truth_path={raw}/truth"]
        moved += [f"ingest.inputs={{events: {raw}/events, users: {raw}/users}}"]
    overrides = [*moved, *more]
    return load_settings(config, overrides), overrides


def run_all_command(config: str, overrides: list[str]) -> list[str]:
    """The command line of the whole job."""
    sets = [part for override in overrides for part in ("--set", override)]
    return [sys.executable, "jobs/run_all.py", "--config", config, *sets]


def read_test_report(settings: Settings) -> Any:
    """The test report that stands beside the model."""
    folder = Path(settings.paths.models) / settings.training.name
    return json.loads((folder / "report.json").read_text())["tasks"]


def time_call(do: Callable[..., object], *arguments: object) -> float:
    """Seconds that a call takes."""
    began = time.monotonic()
    do(*arguments)
    return time.monotonic() - began


PARTS = {"demo": demo, "ga": ga, "featurize": featurize}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 4, 9, 16])
    parser.add_argument("--keep", help="an empty folder for GA's tables and model")
    arguments = parser.parse_args()
    for part in arguments.parts:
        save_result("main_job", part, PARTS[part](arguments))


if __name__ == "__main__":
    main()
