"""A seed → a simulated shop's raw events and users, and beside them the truth about it."""

from datetime import date

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.simulation.dirt import BAD_STARS, BOT, CLEAN, DIRT_KINDS
from profile_lib.simulation.rows import Shop
from profile_lib.simulation.simulate import (
    build_item_truth,
    build_user_truth,
    simulate_events,
    simulate_users,
)
from profile_lib.simulation.words import CATEGORIES


def run(store: Store, settings: Settings) -> None:
    """Write the whole shop anew. Raises InputError where a day is given."""
    given = settings.simulate
    if given.n_items < len(CATEGORIES):
        raise InputError(
            f"simulate.n_items: {given.n_items}; wanted {len(CATEGORIES)} or more, one a category"
        )
    shop = Shop(
        seed=given.seed,
        n_users=given.n_users,
        n_items=given.n_items,
        n_days=given.n_days,
        sessions_per_user=given.sessions_per_user,
        chinese_share=given.chinese_share,
        drift_share=given.drift_share,
        bots_share=given.bots_share,
    )
    spark, seen = store.spark, Observation("dirt")
    events = simulate_events(spark, shop, date.fromisoformat(given.first_day), given.dirt_share)
    counts = [
        F.count_if(F.col("dirt") == kind).alias(kind)
        for kind in (CLEAN, BOT, BAD_STARS, *DIRT_KINDS)
    ]
    write_raw(events.observe(seen, *counts).drop("dirt"), given.events_path, given.format)
    users_path = given.events_path.rstrip("/").rpartition("/")[0] + "/users"
    write_raw(simulate_users(spark, shop), users_path, given.format)
    truth = {
        "users": build_user_truth(spark, shop),
        "items": build_item_truth(spark, shop),
        "dirt": spark.createDataFrame(list(seen.get.items()), "kind string, n_rows long"),
    }
    for name, frame in truth.items():
        frame.write.mode("overwrite").parquet(f"{given.truth_path}/{name}")


def write_raw(frame: DataFrame, path: str, format: str) -> None:
    """JSON lines under gzip, as a log collector leaves them, or Parquet."""
    writer = frame.write.mode("overwrite")
    if format == "json":
        writer.option("compression", "gzip").json(path)
    else:
        writer.parquet(path)
