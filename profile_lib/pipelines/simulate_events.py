"""Write the raw events, the users and the truth of a simulated shop."""

from datetime import date

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.config.simulation import SimulateSettings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.simulation.devices import DeviceHabits
from profile_lib.simulation.dirt import BAD_STARS, BOT, CLEAN, DIRT_KINDS
from profile_lib.simulation.rows import Shop
from profile_lib.simulation.simulate import (
    build_item_truth,
    build_user_truth,
    simulate_events,
    simulate_users,
)
from profile_lib.simulation.words import CATEGORIES

SHOP_SETTINGS = {
    "seed", "n_users", "n_items", "n_days", "sessions_per_user", "chinese_share", "drift_share",
    "bots_share",
}  # fmt: skip


def run(store: Store, settings: Settings) -> None:
    """Write the raw events, the users and the truth, replacing earlier ones.

    The truth, at `simulate.truth_path`, has the true preferences of users, the true attributes of
    items, and the number of rows with each kind of error; with devices, the person of each event
    too. Raises InputError if there are fewer
    items than categories.
    """
    config, spark = settings.simulate, store.spark
    shop = _shop(config)
    first_day, habits = date.fromisoformat(config.first_day), _habits(config)
    events = simulate_events(spark, shop, first_day, config.dirt_share, habits)
    dirt = Observation("dirt")
    counts = [
        F.count_if(F.col("dirt") == kind).alias(kind)
        for kind in (CLEAN, BOT, BAD_STARS, *DIRT_KINDS)
    ]
    raw = events.observe(dirt, *counts).drop("dirt", "person")
    write_raw(raw, config.events_path, config.format)
    users_path = config.events_path.rstrip("/").rpartition("/")[0] + "/users"
    write_raw(simulate_users(spark, shop), users_path, config.format)
    truth = {
        "users": build_user_truth(spark, shop),
        "items": build_item_truth(spark, shop),
        "dirt": spark.createDataFrame(list(dirt.get.items()), "kind string, n_rows long"),
    }
    if habits is not None:
        truth["events"] = events.select("event_id", "person").distinct()
    for name, frame in truth.items():
        frame.write.mode("overwrite").parquet(f"{config.truth_path}/{name}")


def _shop(config: SimulateSettings) -> Shop:
    if config.n_items < len(CATEGORIES):
        raise InputError(
            f"simulate.n_items: {config.n_items}; wanted {len(CATEGORIES)} or more, at least one "
            "per category"
        )
    return Shop(**config.model_dump(include=SHOP_SETTINGS))


def _habits(config: SimulateSettings) -> DeviceHabits | None:
    if not config.devices_per_person:
        return None
    return DeviceHabits(
        config.devices_per_person,
        config.shared_share,
        config.logout_share,
        config.anonymous_share,
    )


def write_raw(frame: DataFrame, path: str, format: str) -> None:
    """Write gzipped JSON lines, as a log collector does, or Parquet, as `format` names."""
    writer = frame.write.mode("overwrite")
    if format == "json":
        writer.option("compression", "gzip").json(path)
    else:
        writer.parquet(path)
