"""Label cutoffs by the events within the horizon after them."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def label_cutoffs(
    cutoffs: DataFrame, events: DataFrame, items: DataFrame, users: DataFrame, horizon: timedelta
) -> DataFrame:
    """Add labels to each cutoff, from events in [cutoff_ts, cutoff_ts + horizon).

    - `buys`: 1 if there is a purchase of at least one piece, else 0.
    - `spend`: price times quantity of all purchases, in the shop's currency.
    - `next_categories`: the distinct categories of all items, sorted.
    - `next_category`: the category of the first event whose item has one; null if none has.
    - `age_band`, `gender`, `attributes`: as the user declared them; null if unknown.
    """
    seconds = horizon.total_seconds()
    quantity = F.coalesce("quantity", F.lit(1))
    categories = items.select("item_id", "category")
    later = events.select(
        "user_id", "event_ts", "event_id", "event_type", "item_id", "quantity", "price"
    )
    is_within = (F.col("event_ts") >= F.col("cutoff_ts")) & (
        F.col("event_ts").cast("double") < F.col("cutoff_ts").cast("double") + seconds
    )
    labels = (
        cutoffs.join(later, "user_id")
        .where(is_within)
        .join(categories, "item_id", "left")
        .groupBy("user_id", "cutoff_ts")
        .agg(
            F.max(is_purchase().cast("int")).alias("buys"),
            F.sum(F.when(is_purchase(), F.col("price") * quantity)).alias("spend"),
            F.array_sort(F.collect_set("category")).alias("next_categories"),
            F.min_by(
                "category",
                F.when(F.col("category").isNotNull(), F.struct("event_ts", "event_id")),
            ).alias("next_category"),
        )
    )
    return (
        cutoffs.join(labels, ["user_id", "cutoff_ts"], "left")
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
    """Return True for a purchase, False for a return, whose quantity is not positive."""
    return (F.col("event_type") == "purchase") & (F.coalesce("quantity", F.lit(1)) > 0)
