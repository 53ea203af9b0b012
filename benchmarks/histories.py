"""Measure user histories: their size, and what it costs to keep them up to date.

    python -m benchmarks.histories size --config conf/ga.yaml --name ga --folder FOLDER
    python -m benchmarks.histories growth --folder FOLDER

`size` measures the compressed bytes of a history, of the median user and of users with as many
events as a history keeps whole, in the tables of the settings (run ingest_events first). `growth`
draws shops whose events go back 16 times as long, and shops with 16 times the users, and times the
update of the histories and behaviour after new events of a few users. Works in FOLDER. Writes
benchmarks/results/histories.json.
"""

import argparse
import shutil
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.measure import (
    make_parser,
    open_store,
    save_result,
    summarise_ratios,
    summarise_repeats,
    time_call,
)
from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.features.catalog_words import project_catalog
from profile_lib.pipelines.serving_model import build_current_behaviour
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.spark.session import start_spark
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS, USER_HISTORIES

REPEATS = 3
N_CHANGED = 1_000  # users with new events
TIMES = 16
BASE_USERS, BASE_DAYS = 20_000, 8
FIRST_DAY = datetime(2025, 1, 1)
KINDS = ("view", "view", "view", "click", "search", "cart", "purchase", "page")
MEDIAN_BAND = (0.45, 0.55)  # quantiles of the number of events: users near the median
KIB = 1024


def size(arguments: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Measure the compressed bytes of histories."""
    store = open_store(settings)
    update_histories(store, settings)
    histories = store.read(USER_HISTORIES).withColumn(
        "n_events", F.size("events") + F.aggregate("older", F.lit(0).cast("long"), _add_events)
    )
    low, high = histories.approxQuantile("n_events", list(MEDIAN_BAND), 0.001)
    groups = {
        "median_users": histories.where(F.col("n_events").between(low, high)),
        "users_with_512_events": histories.where(F.col("n_events") >= 512),
        "all_users": histories,
    }
    folder = arguments.folder / "sizes"
    return {name: measure_size(rows, folder) for name, rows in groups.items()}


def _add_events(total: F.Column, count: F.Column) -> F.Column:
    return total + count["n_events"]


def measure_size(histories: DataFrame, folder: Path) -> dict[str, Any]:
    """Return the number of users, their median number of events, and the KiB per user."""
    n_users = histories.count()
    if not n_users:
        return {"users": 0}
    rows = histories.drop("n_events").coalesce(1).sortWithinPartitions("user_id")
    rows.write.mode("overwrite").option("compression", "zstd").parquet(str(folder))
    n_bytes = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    shutil.rmtree(folder)
    median = histories.approxQuantile("n_events", [0.5], 0.001)[0]
    return {
        "users": n_users,
        "median_events": int(median),
        "kib_per_user": round(n_bytes / n_users / KIB, 3),
    }


def growth(arguments: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Time updates after new events of a few users in shops of several sizes."""
    shops = {
        "base": (BASE_USERS, BASE_DAYS),
        f"history_times_{TIMES}": (BASE_USERS, BASE_DAYS * TIMES),
        f"users_times_{TIMES}": (BASE_USERS * TIMES, BASE_DAYS),
    }
    seconds: dict[str, list[float]] = {}
    figures: dict[str, Any] = {"users_changed": N_CHANGED}
    for name, (n_users, n_days) in shops.items():
        folder = arguments.folder / name
        store = Store(start_spark(settings.spark, "benchmark"), str(folder / "tables"))
        full = time_call(partial(prepare, store, settings, n_users, n_days))
        seconds[name] = [
            time_call(partial(update, store, settings, n_days, turn)) for turn in range(REPEATS + 1)
        ][1:]  # the first turn warms up
        figures[name] = {
            "users": n_users,
            "events": n_users * n_days,
            "build_seconds": round(full, 1),
            "update_seconds": summarise_repeats(seconds[name]),
        }
        shutil.rmtree(folder)
        print(f"{name}: {figures[name]}", flush=True)
    for name in list(shops)[1:]:
        figures[f"{name}_to_base"] = summarise_ratios(seconds[name], seconds["base"])
    return figures


def prepare(store: Store, settings: Settings, n_users: int, n_days: int) -> None:
    """Write one event per user and day, a small catalog, and the histories."""
    for day in range(0, n_days, BASE_DAYS):
        store.append(EVENTS, draw_events(store, 0, n_users, range(day, day + BASE_DAYS)))
    titles = [
        (f"i{n}", f"item {n}", f"c{n % 20}", "b", 1.0, 0.5, ["item"], ["item"]) for n in range(500)
    ]
    store.append(ITEMS, store.spark.createDataFrame(titles, ITEMS.schema))
    update_histories(store, settings)


def update(store: Store, settings: Settings, n_days: int, turn: int) -> None:
    """Bring histories and behaviour up to date with new events of N_CHANGED users."""
    day = n_days + turn
    new = draw_events(store, turn * N_CHANGED, N_CHANGED, range(day, day + 1))
    store.append(EVENTS, new)
    update_histories(store, settings)
    changed = new.select("user_id").distinct()
    histories = store.read(USER_HISTORIES).join(changed, "user_id", "left_semi")
    catalog = project_catalog(store.read(ITEMS))
    store.replace(BEHAVIOUR, build_current_behaviour(histories, catalog, settings))


def draw_events(store: Store, first: int, n: int, days: range) -> DataFrame:
    """Draw one event for each of `n` users, from the number `first`, on each of the days."""
    ids = store.spark.range(n * len(days))
    user = F.pmod("id", F.lit(n)) + first
    day = F.lit(days.start) + F.floor(F.col("id") / n)
    draw = F.pmod(F.xxhash64("day", "user"), F.lit(1_000_003))
    kinds = F.array(*[F.lit(kind) for kind in KINDS])
    rows = ids.select(user.alias("user"), day.alias("day")).withColumn("draw", draw)
    event_ts = F.timestamp_seconds(
        F.lit(int(FIRST_DAY.timestamp())) + F.col("day") * 86_400 + F.pmod("draw", F.lit(80_000))
    )
    columns = {
        "event_id": F.sha2(F.concat_ws(" ", "user", "day"), 256),
        "user_id": F.sha2(F.col("user").cast("string"), 256),
        "event_ts": event_ts,
        "event_type": kinds[F.pmod("draw", F.lit(len(KINDS))).cast("int")],
        "item_id": F.format_string("i%d", F.pmod("draw", F.lit(500))),
        "price": F.pmod("draw", F.lit(1_000)) / 10,
        "source": F.lit("drawn"),
        "ingest_ts": event_ts,
    }
    days_of_event = {name: F.to_date("event_ts") for name in ("event_date", "load_date")}
    return EVENTS.fill(rows.withColumns(columns).withColumns(days_of_event))


def main() -> None:
    """Run the requested parts."""
    parser = make_parser(__doc__, ("size", "growth"), folder_help="where files are written")
    parser.add_argument("--name", default="ga", help="name of the shop that `size` measures")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config, arguments.set)
    for part in arguments.parts:
        if part == "size":
            save_result("histories", f"size_{arguments.name}", size(arguments, settings))
        else:
            save_result("histories", part, growth(arguments, settings))


if __name__ == "__main__":
    main()
