"""What an incremental refresh costs, and that it ends where a full one does, on GA's clicks.

    python benchmarks/refresh.py changed days --config conf/ga.yaml --folder FOLDER

Reads events, items and users of the settings' tables and the model (run the jobs up to train_model
first), works on copies in FOLDER, which it deletes afterwards, and writes each part into
benchmarks/results/refresh.json. With `--users-share` below 1 it takes so many whole users, by hash.

`changed`: a full refresh, then refreshes after one more event of so many users each. `days`: the
events of the first days, then a day at a time, each refreshed; in the end every cell of every
profile beside those of a full refresh, by torch in fp32: int8 tells texts apart by their company.
"""

import argparse
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from measure import save_result, summarise_repeats
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, load_settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import refresh_profiles
from profile_lib.spark.session import start_spark
from profile_lib.tables import EVENTS, ITEMS, USER_PROFILES, USERS

REPEATS = 3
CHANGED_SHARE = 0.05  # of the users
TARGETS = {"incremental_to_full": 1 / 15, "cells_that_differ": 0}
FIRST_DAYS = 51  # of GA's 61; ten are then refreshed one by one
IGNORED_COLUMNS = ("events_version",)  # when it was computed, not what it says
RELATIVE_TOLERANCE = (
    1e-4  # relative: floats of texts that share another pass differ in the last digits
)


def is_sampled(share: float, salt: int) -> Column:
    """True for so many of the users, by hash."""
    return F.pmod(F.xxhash64("user_id", F.lit(salt)), F.lit(10_000)) < share * 10_000


@contextmanager
def scratch_store(source: Store, folder: Path, events: DataFrame) -> Iterator[Store]:
    """A store with these events and the items and users of another; gone afterwards."""
    store = Store(source.spark, str(folder))
    try:
        store.append(EVENTS, events)
        for table in (ITEMS, USERS):
            store.append(table, source.read(table))
        yield store
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def time_refresh(store: Store, settings: Settings, rebuild: bool = False) -> float:
    """Seconds of a refresh."""
    began = time.monotonic()
    refresh_profiles.run(store, settings, rebuild=rebuild)
    return time.monotonic() - began


def changed(source: Store, settings: Settings, folder: Path, share: float) -> dict[str, Any]:
    """Seconds of a full refresh, and of those after an event more of a share of the users."""
    events = source.read(EVENTS).where(is_sampled(share, 0))
    with scratch_store(source, folder, events) as store:
        time_refresh(store, settings, rebuild=True)  # workers start, models load
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
        "users_share": share,
        "runtime": settings.refresh.runtime,
        "users_changed": n_changed,
        "full_seconds": round(full, 1),
        "incremental_seconds": summarise_repeats(seconds),
        "incremental_to_full": summarise_repeats([s / full for s in seconds]),
        "target": TARGETS["incremental_to_full"],
    }


def repeat_last_event(events: DataFrame, turn: int) -> DataFrame:
    """The last event of each drawn user once more, an hour later, under an id of its own."""
    last = F.max_by(F.struct(*EVENTS.column_names()), F.struct("event_ts", "event_id")).alias(
        "last"
    )
    kept = (
        events.where(is_sampled(CHANGED_SHARE, turn + 1))
        .groupBy("user_id")
        .agg(last)
        .select("last.*")
    )
    later = timedelta(hours=turn + 1)
    moved = kept.withColumns(
        {
            "event_id": F.concat("event_id", F.lit(f" again {turn}")),
            "event_ts": F.col("event_ts") + F.lit(later),
            "ingest_ts": F.greatest("event_ts", "ingest_ts") + F.lit(later),
        }
    )
    return moved.withColumn("event_date", F.to_date("event_ts")).select(*EVENTS.column_names())


def days(source: Store, settings: Settings, folder: Path, share: float) -> dict[str, Any]:
    """A refresh a day, and in the end how many cells differ from a full refresh."""
    given = with_values(settings, {"refresh.runtime": "torch_fp32"})
    events = source.read(EVENTS).where(is_sampled(share, 0))
    dates = [r[0] for r in events.select("event_date").distinct().orderBy("event_date").collect()]
    first, rest = dates[:FIRST_DAYS], dates[FIRST_DAYS:]
    with scratch_store(source, folder, events.where(F.col("event_date").isin(first))) as store:
        begun = time_refresh(store, given)
        seconds = []
        for day in rest:
            store.upsert(EVENTS, events.where(F.col("event_date") == day))
            seconds.append(time_refresh(store, given))
            print(f"{day}: {seconds[-1]:.1f} s", flush=True)
        before = store.version(USER_PROFILES)
        full = time_refresh(store, given, rebuild=True)
        incremental, wanted = store.read(USER_PROFILES, before), store.read(USER_PROFILES)
        differing = count_differing_cells(incremental, wanted)
        n_cells = wanted.count() * len(differing)
    return {
        "users_share": share,
        "days": [str(dates[0]), str(dates[-1])],
        "first_refresh": {"days": len(first), "seconds": round(begun, 1)},
        "seconds_per_day": summarise_repeats(seconds),
        "full_seconds": round(full, 1),
        "cells": n_cells,
        "cells_that_differ": sum(differing.values()),
        "by_column": {name: n for name, n in differing.items() if n},
        "relative_tolerance": RELATIVE_TOLERANCE,
        "target": TARGETS["cells_that_differ"],
    }


def count_differing_cells(found: DataFrame, wanted: DataFrame) -> dict[str, int]:
    """Of each column how many users' cells differ; all of a user that only one side has do."""
    names = [name for name in USER_PROFILES.column_names() if name not in IGNORED_COLUMNS]
    sides = [
        frame.select("user_id", F.struct(*names).alias(side))
        for frame, side in ((found, "found"), (wanted, "wanted"))
    ]
    differing = dict.fromkeys(names, 0)
    for row in sides[0].join(sides[1], "user_id", "full_outer").toLocalIterator():
        one, other = row["found"], row["wanted"]
        for name in names:
            differing[name] += not (one and other and cells_agree(one[name], other[name]))
    return differing


def cells_agree(found: Any, wanted: Any) -> bool:
    """Whether two cells are equal, their floats nearly."""
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(
            found, wanted, rel_tol=RELATIVE_TOLERANCE, abs_tol=RELATIVE_TOLERANCE / 100
        )
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            cells_agree(found[k], wanted[k]) for k in wanted
        )
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):  # a Row is a tuple
        return len(found) == len(wanted) and all(map(cells_agree, found, wanted))
    return bool(found == wanted)


PARTS = {"changed": changed, "days": days}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--config", default="conf/ga.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--folder", required=True, help="where the copies are written")
    parser.add_argument("--users-share", type=float, default=1.0)
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    spark = start_spark(settings.spark, "benchmark")
    source = Store(spark, settings.paths.tables)
    for part in arguments.parts:
        folder = Path(arguments.folder) / "refresh_benchmark"
        save_result("refresh", part, PARTS[part](source, settings, folder, arguments.users_share))


if __name__ == "__main__":
    main()
