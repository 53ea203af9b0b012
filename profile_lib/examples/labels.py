"""Cutoffs and events in, the answers out: what came within the horizon after each cutoff."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def label_cutoffs(
    cutoffs: DataFrame, events: DataFrame, items: DataFrame, users: DataFrame, horizon: timedelta
) -> DataFrame:
    """One row a cutoff with its labels: buys, spend, next_category, next_categories, age_band,
    gender and attributes.

    `buys` is 1 where a purchase of one piece or more falls into [cutoff_ts, cutoff_ts + horizon),
    `spend` what all purchases in it cost; `next_categories` are those of the items in it,
    `next_category` is that of the first event in it whose item has a known category, null where
    there is none; age band, gender and attributes are as declared, null where unknown.
    """
    seconds = horizon.total_seconds()
    pieces = F.coalesce("quantity", F.lit(1))
    categories = items.select("item_id", "category")
    later = events.select(
        "user_id", "event_ts", "event_id", "event_type", "item_id", "quantity", "price"
    )
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
            F.sum(F.when(is_purchase(), F.col("price") * pieces)).alias("spend"),
            F.array_sort(F.collect_set("category")).alias("next_categories"),
            F.min_by(
                "category",
                F.when(F.col("category").isNotNull(), F.struct("event_ts", "event_id")),
            ).alias("next_category"),
        )
    )
    return (
        cutoffs.join(answers, ["user_id", "cutoff_ts"], "left")
        .join(users.select("user_id", "age_band", "gender", "attributes"), "user_id", "left")
        .withColumns(
            {
                "buys": F.coalesce("buys", F.lit(0)),
                "spend": F.coalesce("spend", F.lit(0.0)),
                "next_categories": F.coalesce("next_categories", F.array().cast("array<string>")),
            }
        )
    )


def is_purchase() -> Column:
    """True for a purchase, and not for one taken back (its quantity is below zero)."""
    return (F.col("event_type") == "purchase") & (F.coalesce("quantity", F.lit(1)) > 0)
