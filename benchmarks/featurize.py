"""Measure featurizing: from raw files to behaviour, compared with DuckDB on the same files.

    python -m benchmarks.featurize --millions 1 9 [--repeats 1]

Spark ingests a simulated shop, cuts sessions, builds histories and computes behaviour, in tables
that are empty before each repeat. DuckDB, with as many threads, does the same work on the same
files in the same run, in SQL and into Parquet. It does less: no row is accounted for, masked or
judged by rates, nothing is transactional, and a next run would start from nothing. Sessions alone
are also compared, from one Parquet file of events. Writes benchmarks/results/featurize.json.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from pyspark.sql import DataFrame

from benchmarks.duckdb_features import STAGES, sessions_sql
from benchmarks.measure import (
    make_parser,
    open_store,
    save_result,
    settings_in_folder,
    summarise_ratios,
    summarise_repeats,
    time_call,
)
from benchmarks.stage_totals import sum_stages
from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.sessions import build_sessions as cut_sessions
from profile_lib.features.catalog_words import project_catalog
from profile_lib.pipelines import build_sessions, ingest_events, simulate_events
from profile_lib.pipelines.serving_model import build_current_behaviour
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS, SESSIONS, USER_HISTORIES

EVENTS_PER_USER = 42  # the simulator makes roughly as many raw rows per user
SESSION_REPEATS = 3
TARGETS = {1: 30_000, 9: 50_000}  # millions of events → events per second
SESSIONS_TARGET = 0.8  # of DuckDB's rate, with 9 million events


def measure_size(millions: int, repeats: int) -> dict[str, Any]:
    """Measure both engines on a shop of about so many million raw events."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = simulate_shop(folder, millions * 1_000_000)
        runs = [measure_once(folder, settings, turn) for turn in range(repeats)]
        n_raw = runs[0]["raw_events"]
        figures = {
            "raw_events": n_raw,
            "events_per_second": summarise_rates(n_raw, [run["spark"] for run in runs]),
            "duckdb_events_per_second": summarise_rates(n_raw, [run["duckdb"] for run in runs]),
            "target_events_per_second": TARGETS.get(millions),
            "seconds": {
                engine: {
                    stage: summarise_repeats([run[engine][stage] for run in runs])
                    for stage in runs[0][engine]
                }
                for engine in ("spark", "duckdb")
            },
            "spark_totals": runs[0]["totals"],
        }
        return figures | compare_sessions(folder, open_store(settings), settings)


def summarise_rates(n_events: int, runs: Iterable[dict[str, float]]) -> dict[str, Any]:
    """Summarise the events per second of runs, each with its seconds by stage."""
    return summarise_repeats([round(n_events / sum(run.values())) for run in runs])


def measure_once(folder: Path, settings: Settings, turn: int) -> dict[str, Any]:
    """Run all stages by both engines, into new tables and files."""
    root = f"{settings.paths.tables}_{turn}"
    store = Store(open_store(settings).spark, root, f"{root}/identity")
    stages: dict[str, Callable[[], object]] = {
        "ingestion": partial(ingest_events.run, store, settings, now=datetime.now(UTC)),
        "sessions": partial(build_sessions.run, store, settings, None),
        "histories": partial(update_histories, store, settings),
        "behaviour": partial(build_all_behaviour, store, settings),
    }
    spark, totals = {}, {}
    for stage, run in stages.items():
        with sum_stages(store.spark) as totals[stage]:
            spark[stage] = time_call(run)
    target = folder / f"duckdb_{turn}"
    target.mkdir()
    with connect() as connection:
        query = {
            "raw": settings.simulate.events_path,
            "target": target,
            "gap": settings.sessions.gap.total_seconds(),
            "max_events": settings.histories.max_events,
        }
        theirs = {
            stage: time_call(connection.execute, sql.format_map(query))
            for stage, sql in STAGES.items()
        }
        n_raw = count(connection, f"{query['raw']}/*.parquet")
        check_counts(connection, store, target)
    figures = {"raw_events": n_raw, "spark": spark, "duckdb": theirs, "totals": totals}
    print(json.dumps(figures), flush=True)
    return figures


def check_counts(connection: duckdb.DuckDBPyConnection, store: Store, folder: Path) -> None:
    """Check that both engines found about as many rows.

    DuckDB keeps the events of users whose rates no person reaches.
    """
    for table, name in ((EVENTS, "events"), (SESSIONS, "sessions"), (BEHAVIOUR, "behaviour")):
        ours, theirs = store.read(table).count(), count(connection, f"{folder}/{name}.parquet")
        assert ours <= theirs <= 1.1 * ours, (name, ours, theirs)


def count(connection: duckdb.DuckDBPyConnection, path: str) -> int:
    """Count the rows of Parquet files."""
    return int(connection.execute(f"SELECT count(*) FROM '{path}'").fetchall()[0][0])


def connect() -> duckdb.DuckDBPyConnection:
    """Open DuckDB with as many threads as Spark has cores."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {len(os.sched_getaffinity(0))}")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET memory_limit = '10GB'")
    return connection


def compare_sessions(folder: Path, store: Store, settings: Settings) -> dict[str, Any]:
    """Build sessions alone from one Parquet: Spark into Delta, DuckDB into Parquet."""
    source, gap = f"{folder}/events.parquet", settings.sessions.gap
    targets = [f"{folder}/sessions_{turn}.parquet" for turn in range(SESSION_REPEATS + 1)]
    Store(store.spark, f"{store.root}_0").read(EVENTS).write.parquet(source)
    events = store.spark.read.parquet(source)
    pairs = [
        (
            time_call(replace_sessions, store, events, gap),
            time_call(cut_in_duckdb, f"{source}/*.parquet", target, gap),
        )
        for target in targets
    ][1:]  # the first turn warms both up
    with connect() as connection:
        assert count(connection, targets[0]) == store.read(SESSIONS).count()
    spark_seconds, duckdb_seconds = zip(*pairs, strict=True)
    return {
        "spark_sessions_seconds": summarise_repeats(spark_seconds),
        "duckdb_sessions_seconds": summarise_repeats(duckdb_seconds),
        "sessions_rate_to_duckdb": summarise_ratios(duckdb_seconds, spark_seconds),
        "target_sessions_rate": SESSIONS_TARGET,
    }


def replace_sessions(store: Store, events: DataFrame, gap: timedelta) -> None:
    """Build sessions by Spark into Delta."""
    store.replace(SESSIONS, cut_sessions(events, gap))


def cut_in_duckdb(source: str, target: str, gap: timedelta) -> None:
    """Build sessions by DuckDB into Parquet."""
    with connect() as connection:
        connection.execute(sessions_sql(source, target, gap.total_seconds()))


def build_all_behaviour(store: Store, settings: Settings) -> None:
    """Build the behaviour of every user as of the last event, as a refresh computes it."""
    histories = store.read(USER_HISTORIES)
    catalog = project_catalog(store.read(ITEMS))
    store.replace(BEHAVIOUR, build_current_behaviour(histories, catalog, settings))


def simulate_shop(folder: Path, n_events: int) -> Settings:
    """Simulate a shop of about `n_events` raw events as Parquet in `folder`."""
    users = f"simulate.n_users={n_events // EVENTS_PER_USER}"
    settings, _ = settings_in_folder(folder, "benchmarks/scale.yaml", users)
    simulate_events.run(open_store(settings), settings)
    return settings


def main() -> None:
    """Measure the requested sizes."""
    parser = make_parser(__doc__)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 9])
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    for millions in arguments.millions:
        save_result("featurize", f"{millions}_million", measure_size(millions, arguments.repeats))


if __name__ == "__main__":
    main()
