"""Cutoffs and events in, the answers out: what came within the horizon after each cutoff."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def label_cutoffs(
    cutoffs: DataFrame, events: DataFrame, items: DataFrame, users: DataFrame, horizon: timedelta
) -> DataFrame:
    """One row a cutoff with its labels: buys, next_category, age_band and gender.

    `buys` is 1 where a purchase of one piece or more falls into [cutoff_ts, cutoff_ts + horizon);
    `next_category` is that of the first event in it whose item has a known category, null where
    there is none; age band and gender are as declared, null where unknown.
    """
    seconds = horizon.total_seconds()
    categories = items.select("item_id", "category")
    later = events.select("user_id", "event_ts", "event_id", "event_type", "item_id", "quantity")
    is_within = (F.col("event_ts") >= F.col("cutoff_ts")) & (
        F.col("event_ts").cast("double") < F.col("cutoff_ts").cast("double") + seconds
    )
    answers = (
        cutoffs.join(later, "user_id")
        .where(is_within)
        .join(categories, "item_id", "left")
        .groupBy("user_id", "cutoff_ts")
        .agg(
            F.max(is_purchase().cast("int")).alias("buys"),
            F.min_by(
                "category",
                F.when(F.col("category").isNotNull(), F.struct("event_ts", "event_id")),
            ).alias("next_category"),
        )
    )
    return (
        cutoffs.join(answers, ["user_id", "cutoff_ts"], "left")
        .join(users.select("user_id", "age_band", "gender"), "user_id", "left")
        .withColumn("buys", F.coalesce("buys", F.lit(0)))
    )


def is_purchase() -> Column:
    """True for a purchase, and not for one taken back (its quantity is below zero)."""
    return (F.col("event_type") == "purchase") & (F.coalesce("quantity", F.lit(1)) > 0)
