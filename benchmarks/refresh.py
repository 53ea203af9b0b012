"""Measure an incremental refresh, and compare its cells with those of a full one.

    python -m benchmarks.refresh changed days --config conf/ga.yaml --folder FOLDER

Reads events, items and users of the settings' tables and the model (run the jobs up to train_model
first), works on copies in FOLDER and deletes them afterwards. With `--users-share` below 1 it takes
that share of the users, chosen by a hash. Writes benchmarks/results/refresh.json.

`changed` times a full refresh, then refreshes after one more event of a share of the users. `days`
adds one day after another to the events of the first days, refreshes after each, and compares every
cell of every profile with a full refresh; it infers by torch in fp32, as the int8 encoder's output
for a text depends on the other texts of its pass.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from benchmarks.measure import (
    make_parser,
    open_store,
    run_parts,
    summarise_repeats,
    time_call,
)
from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import refresh_profiles
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS
from profile_lib.tables.events import EVENT_ORDER
from tests.agreement import agree

REPEATS = 3
CHANGED_SHARE = 0.05  # of the users
TARGETS = {"incremental_to_full": 0.1, "cells_that_differ": 0}
FIRST_DAYS = 51  # of GA's 61; the other ten are added one by one
IGNORED_COLUMNS = ("events_version",)  # depends on when a profile was computed
RELATIVE_TOLERANCE = 1e-4  # floats of texts encoded in another pass differ in their last digits


def is_sampled(share: float, salt: int) -> Column:
    """True for a share of the users, chosen by a hash."""
    return F.pmod(F.xxhash64("user_id", F.lit(salt)), F.lit(10_000)) < share * 10_000


@contextmanager
def scratch_store(source: Store, folder: Path, events: DataFrame) -> Iterator[Store]:
    """Open a temporary store with these events and another store's items and users."""
    store = Store(source.spark, str(folder))
    try:
        store.append(EVENTS, events)
        for table in (ITEMS, USERS):
            store.append(table, source.read(table))
        yield store
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def time_refresh(store: Store, settings: Settings, rebuild: bool = False) -> float:
    """Return the seconds of a refresh."""
    now = datetime.now(UTC)
    return time_call(lambda: refresh_profiles.run(store, settings, rebuild=rebuild, now=now))


def changed(source: Store, settings: Settings, folder: Path, share: float) -> dict[str, Any]:
    """Time a full refresh, and refreshes after one more event of a share of the users."""
    events = source.read(EVENTS).where(is_sampled(share, 0))
    with scratch_store(source, folder, events) as store:
        time_refresh(store, settings, rebuild=True)  # starts the workers and loads the model
        shutil.rmtree(store.path(USER_PROFILES))
        full, seconds, n_changed = time_refresh(store, settings), [], []
        for turn in range(REPEATS):
            more = repeat_last_event(events, turn).localCheckpoint()
            store.append(EVENTS, more)
            n_changed.append(more.count())
            seconds.append(time_refresh(store, settings))
            print(f"{turn}: {seconds[-1]:.1f} s, full {full:.1f} s", flush=True)
        n_users = store.read(USER_PROFILES).count()
    return {
        "users": n_users,
        "users_changed": n_changed,
        "full_seconds": round(full, 1),
        "incremental_seconds": summarise_repeats(seconds),
        "incremental_to_full": summarise_repeats([s / full for s in seconds]),
        "target": TARGETS["incremental_to_full"],
    }


def repeat_last_event(events: DataFrame, turn: int) -> DataFrame:
    """Repeat the last event of each sampled user hours later, with a new id."""
    last = F.max_by(F.struct(*EVENTS.column_names()), F.struct(*EVENT_ORDER))
    repeated = (
        events.where(is_sampled(CHANGED_SHARE, turn + 1))
        .groupBy("user_id")
        .agg(last.alias("last"))
        .select("last.*")
    )
    later = timedelta(hours=turn + 1)
    moved = repeated.withColumns(
        {
            "event_id": F.concat("event_id", F.lit(f" again {turn}")),
            "event_ts": F.col("event_ts") + F.lit(later),
            "ingest_ts": F.greatest("event_ts", "ingest_ts") + F.lit(later),
        }
    )
    return moved.withColumn("event_date", F.to_date("event_ts")).select(*EVENTS.column_names())


def days(source: Store, settings: Settings, folder: Path, share: float) -> dict[str, Any]:
    """Refresh after each added day; count the cells that differ from a full refresh."""
    settings = with_values(settings, {"refresh.runtime": "torch_fp32"})
    events = source.read(EVENTS).where(is_sampled(share, 0))
    dates = [r[0] for r in events.select("event_date").distinct().orderBy("event_date").collect()]
    first, rest = dates[:FIRST_DAYS], dates[FIRST_DAYS:]
    with scratch_store(source, folder, events.where(F.col("event_date").isin(first))) as store:
        time_refresh(store, settings)
        for day in rest:
            store.upsert(EVENTS, events.where(F.col("event_date") == day))
            print(f"{day}: {time_refresh(store, settings):.1f} s", flush=True)
        version = store.version(USER_PROFILES)
        time_refresh(store, settings, rebuild=True)
        incremental, full = store.read(USER_PROFILES, version), store.read(USER_PROFILES)
        differing = count_differing_cells(incremental, full)
        n_cells = full.count() * len(differing)
    print({name: n for name, n in differing.items() if n}, flush=True)
    return {
        "users_share": share,
        "days": [str(dates[0]), str(dates[-1])],
        "first_days": len(first),
        "cells": n_cells,
        "cells_that_differ": sum(differing.values()),
        "relative_tolerance": RELATIVE_TOLERANCE,
        "target": TARGETS["cells_that_differ"],
    }


def count_differing_cells(found: DataFrame, expected: DataFrame) -> dict[str, int]:
    """Count the differing cells per column; a user that only one frame has differs in all."""
    names = [name for name in USER_PROFILES.column_names() if name not in IGNORED_COLUMNS]
    sides = [
        frame.select("user_id", F.struct(*names).alias(side))
        for frame, side in ((found, "found"), (expected, "expected"))
    ]
    differing = dict.fromkeys(names, 0)
    tolerances = RELATIVE_TOLERANCE, RELATIVE_TOLERANCE / 100
    for row in sides[0].join(sides[1], "user_id", "full_outer").toLocalIterator():
        one, other = row["found"], row["expected"]
        for name in names:
            differing[name] += not (one and other and agree(one[name], other[name], *tolerances))
    return differing


PARTS = {"changed": changed, "days": days}


def main() -> None:
    """Run the requested parts."""
    parser = make_parser(__doc__, PARTS, folder_help="where the copies are written")
    parser.add_argument("--users-share", type=float, default=1.0)
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    source = open_store(settings)
    folder = arguments.folder / "refresh_benchmark"
    run_parts("refresh", PARTS, arguments.parts, source, settings, folder, arguments.users_share)


if __name__ == "__main__":
    main()
