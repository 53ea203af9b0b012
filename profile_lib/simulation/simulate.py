"""Simulate a shop's raw events and users, and the truth behind them.

Spark makes the rows in parallel. A row is a function of the seed and the user's number, so the
result does not depend on the number of partitions. Nothing is collected on the driver.
"""

import math
from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.simulation.devices import DEVICE_COLUMNS, DeviceHabits, add_devices
from profile_lib.simulation.dirt import add_dirt
from profile_lib.simulation.rows import BRANDS, ROW_SCHEMA, Shop, make_row_batches
from profile_lib.simulation.words import AGE_BANDS, CATEGORIES, GENDERS, REGIONS

RAW_COLUMNS = (
    "event_id", "uid", "time", "received", "action", "item", "title", "category", "brand", "price",
    "quantity", "query", "page", "review", "stars", "seconds", "rank", "visit", "order", "channel",
    "device", "region",
)  # fmt: skip
USERS_PER_PARTITION = 20_000
PEOPLE_SCHEMA = (
    "user long, is_bot boolean, drifts boolean, age_band string, gender string, region string, "
    "is_declared boolean, first_top_category string, top_category string, "
    "interests array<double>, wealth double, eagerness double"
)


def simulate_events(
    spark: SparkSession,
    shop: Shop,
    first_day: date,
    dirt_share: float,
    habits: DeviceHabits | None = None,
) -> DataFrame:
    """Make raw events: RAW_COLUMNS as strings, and the column `dirt`.

    `dirt` names the defect of a row, or CLEAN; about `dirt_share` of the rows have one. With
    `habits`, the events have DEVICE_COLUMNS too, and `person`, the uid of whoever made them.
    """

    def make_rows(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return make_row_batches(shop, batches)

    rows = (
        _user_numbers(spark, shop)
        .mapInArrow(make_rows, ROW_SCHEMA)
        .withColumn("uid", _raw_user_id())
    )
    visit = F.concat_ws("-", F.substring("uid", 2, 12), "visit_number")
    start = F.unix_millis(F.lit(f"{first_day} 00:00:00").cast("timestamp"))
    named = rows.withColumns(
        {
            "event_id": F.concat(F.lit("e"), visit, F.lit("-"), F.col("event_number")),
            "visit": F.concat(F.lit("v"), visit),
            "order": F.when(F.col("action") == "purchase", F.concat(F.lit("o"), visit)),
            "event_time": F.timestamp_millis(start + F.col("milliseconds")),
            "price": F.col("price").cast("string"),
            "stars": F.col("stars").cast("string"),
        }
    )
    columns = list(RAW_COLUMNS)
    if habits is not None:
        named = add_devices(named, habits, shop.seed)
        columns += [*DEVICE_COLUMNS, "person"]
    dirty = add_dirt(named.withColumn("time", _to_iso("event_time")), dirt_share, shop.seed)
    raw = dirty.withColumn("received", _to_iso("received"))
    return raw.select(*(F.col(c).cast("string") for c in columns), "dirt")


def simulate_users(spark: SparkSession, shop: Shop) -> DataFrame:
    """Make raw users: uid and the facts that users declared to the shop."""
    declared = build_user_truth(spark, shop).where("is_declared AND NOT is_bot")
    return declared.select("uid", "age_band", "gender", "region")


def build_user_truth(spark: SparkSession, shop: Shop) -> DataFrame:
    """Make the truth about each user: the columns of PEOPLE_SCHEMA except user, and uid.

    `interests` are those of the second half of the days, after any drift.
    """

    def make_people_frames(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        for frame in frames:
            yield _make_people_frame(shop, frame["id"].to_numpy())

    people = (
        _user_numbers(spark, shop)
        .mapInPandas(make_people_frames, PEOPLE_SCHEMA)
        .withColumn("uid", _raw_user_id())
    )
    return people.drop("user")


def build_item_truth(spark: SparkSession, shop: Shop) -> DataFrame:
    """Make the truth about each item: item, title, category, brand, price and quality."""
    catalog = shop.catalog()
    return spark.createDataFrame(
        pd.DataFrame(
            {
                "item": catalog.item,
                "title": catalog.title,
                "category": [CATEGORIES[c] for c in catalog.category],
                "brand": [
                    BRANDS[c * 4 + b] for c, b in zip(catalog.category, catalog.brand, strict=True)
                ],
                "price": catalog.price,
                "quality": catalog.quality,
            }
        )
    )


def _make_people_frame(shop: Shop, numbers: np.ndarray) -> pd.DataFrame:
    people = shop.people(numbers)
    categories = np.array(CATEGORIES)
    return pd.DataFrame(
        {
            "user": people.user,
            "is_bot": people.is_bot,
            "drifts": people.drifts,
            "age_band": np.array(AGE_BANDS)[people.age],
            "gender": np.array(GENDERS)[people.gender],
            "region": np.array(REGIONS)[people.region],
            "is_declared": people.is_declared,
            "first_top_category": categories[people.top_categories[:, 0]],
            "top_category": categories[people.top_categories[:, 1]],
            "interests": list(people.interests[:, 1]),
            "wealth": people.wealth,
            "eagerness": people.eagerness,
        }
    )


def _user_numbers(spark: SparkSession, shop: Shop) -> DataFrame:
    min_partitions = math.ceil(shop.n_users / USERS_PER_PARTITION)
    n_partitions = max(min_partitions, spark.sparkContext.defaultParallelism)
    return spark.range(0, shop.n_users, numPartitions=n_partitions)


def _raw_user_id() -> Column:
    return F.expr("concat('u', repeat('0', 6 - length(cast(user AS string))), user)")


def _to_iso(name: str) -> Column:
    return F.date_format(name, "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
