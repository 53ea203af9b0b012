"""Measure ingestion: the demo's events, a million, a run without anything new, and GA's counts.

    python -m benchmarks.ingest demo million ga

`demo` and `million` ingest simulated shops, each time into empty tables by a new process, then once
more without anything new, then into other empty tables, when the JVM has compiled the code; they
report which share of the first time is Spark's planning, Delta's commits and tasks. `ga` compares
the events of August and September with DuckDB's counts on the raw files, cell by cell; its files
have to be where conf/ga.yaml reads them. Writes benchmarks/results/ingest.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import (
    job_command,
    make_parser,
    run_parts,
    settings_in_folder,
    summarise_repeats,
)
from benchmarks.time_shares import sample_shares
from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.pipelines import ingest_events
from profile_lib.spark.session import start_spark
from profile_lib.tables import DATA_QUALITY, EVENTS

REPEATS, REPEATS_OF_A_MILLION = 3, 2
DEMO_TARGET_SECONDS, MILLION_TARGET_SECONDS, NOTHING_NEW_TARGET_SECONDS = 15, 25, 5
USERS_OF_A_MILLION = 24_500
# The event type that the mapping conf/sources/ga.yaml gives to a raw row, in DuckDB's SQL.
GA_TYPE = """CASE WHEN event_type = 'page_view' AND page_path LIKE '/asearch%' THEN 'search'
 WHEN event_type = 'page_view' THEN 'page' WHEN event_type = 'detail_view' THEN 'view'
 WHEN event_type = 'add_to_cart' THEN 'cart' WHEN event_type = 'remove_from_cart' THEN 'uncart'
 ELSE event_type END"""


def demo(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ingest the demo's events."""
    return measure_shop([], REPEATS, DEMO_TARGET_SECONDS)


def million(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ingest a million simulated events, with both compilers of the JVM, as they take longer."""
    spark_conf = json.dumps(load_settings("conf/ga.yaml").spark.conf)
    more = [f"simulate.n_users={USERS_OF_A_MILLION}", f"spark.conf={spark_conf}"]
    return measure_shop(more, REPEATS_OF_A_MILLION, MILLION_TARGET_SECONDS)


def measure_shop(overrides: Iterable[str], repeats: int, target_seconds: float) -> dict[str, Any]:
    """Ingest a simulated shop in new processes, each into empty tables, then again."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        settings, all_overrides = settings_in_folder(Path(folder), "conf/demo.yaml", *overrides)
        subprocess.run(job_command("simulate_events", "conf/demo.yaml", all_overrides), check=True)
        for number in range(repeats):
            own = [*all_overrides, f"paths.tables={folder}/tables_{number}"]
            command = [
                sys.executable,
                "-m",
                "benchmarks.ingest",
                "once",
                "--config",
                "conf/demo.yaml",
            ]
            for override in own:
                command += ["--set", override]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs.append(json.loads(output.splitlines()[-1]))
    return {
        "rows_read": runs[0]["rows_read"],
        "events": runs[0]["events"],
        "seconds": summarise_repeats([run["seconds"] for run in runs]),
        "seconds_with_start_of_spark": summarise_repeats([run["total_seconds"] for run in runs]),
        "seconds_in_a_warm_process": summarise_repeats([run["warm_seconds"] for run in runs]),
        "nothing_new_seconds": summarise_repeats([run["again_seconds"] for run in runs]),
        "shares": runs[0]["shares"],
        "target": {"seconds": target_seconds, "nothing_new_seconds": NOTHING_NEW_TARGET_SECONDS},
    }


def ingest_once(settings: Settings) -> dict[str, Any]:
    """Ingest in this process three times; return times, shares and numbers of rows.

    The second time nothing is new, and the third time the tables are empty again.
    """
    start = time.monotonic()
    spark = start_spark(settings.spark, "benchmark")
    store, now = Store(spark, settings.paths.tables), datetime.now(UTC)
    times = [time.monotonic()]
    with sample_shares(spark) as shares:
        ingest_events.run(store, settings, now=now)
    times.append(time.monotonic())
    ingest_events.run(store, settings, now=now)
    times.append(time.monotonic())
    ingest_events.run(Store(spark, f"{settings.paths.tables}_warm"), settings, now=now)
    times.append(time.monotonic())
    read = store.read(DATA_QUALITY).where("rule = 'read'").select("n_rows").collect()[0][0]
    return {
        "rows_read": read,
        "events": store.read(EVENTS).count(),
        "seconds": times[1] - times[0],
        "total_seconds": times[1] - start,
        "again_seconds": times[2] - times[1],
        "warm_seconds": times[3] - times[2],
        "shares": shares,
    }


def ga(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the events of each day and type with DuckDB's counts of the raw files."""
    with tempfile.TemporaryDirectory() as folder:
        settings, _ = settings_in_folder(Path(folder), "conf/ga.yaml")
        spark = start_spark(settings.spark, "benchmark")
        store = Store(spark, settings.paths.tables)
        start = time.monotonic()
        ingest_events.run(store, settings, now=datetime.now(UTC))
        seconds = time.monotonic() - start
        counted = store.read(EVENTS).groupBy("event_date", "event_type").count().collect()
        ours = {(str(day), event_type): n for day, event_type, n in counted}
        quality = store.read(DATA_QUALITY).where("n_rows > 0").collect()
        rules = {f"{row['field']}:{row['rule']}".lstrip(":"): row["n_rows"] for row in quality}
    theirs = count_raw_rows(settings.ingest.inputs["events"])
    cells = sorted(set(ours) | set(theirs))
    differing = {cell: theirs.get(cell, 0) - ours.get(cell, 0) for cell in cells}
    return {
        "seconds": round(seconds, 1),
        "raw_rows": sum(theirs.values()),
        "events": sum(ours.values()),
        "cells": len(cells),
        "equal_cells": sum(n == 0 for n in differing.values()),
        "rows_missing": sum(n for n in differing.values() if n > 0),
        "rows_added": -sum(n for n in differing.values() if n < 0),
        "data_quality": rules,
    }


def count_raw_rows(pattern: str) -> dict[tuple[str, str], int]:
    """Count the raw rows per UTC day and event type."""
    rows = duckdb.sql(
        f"""SELECT CAST(event_time_utc AS DATE)::VARCHAR, {GA_TYPE}, count(*)
        FROM read_csv('{pattern}', header = true, all_varchar = true) GROUP BY ALL"""
    ).fetchall()
    return {(day, event_type): n for day, event_type, n in rows}


PARTS = {"demo": demo, "million": million, "ga": ga}

if __name__ == "__main__":
    options = make_parser(__doc__, (*PARTS, "once"), config="conf/demo.yaml").parse_args()
    if options.parts == ["once"]:  # a process of its own for each repeat
        print(json.dumps(ingest_once(load_settings(options.config, options.set))))
    else:
        run_parts("ingest", PARTS, options.parts, options)
