"""Build the catalogue from what events or a source say about items."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.keywords import extract_keywords
from profile_lib.tables import ITEMS

CATALOG_COLUMNS = ("title", "category", "brand")
PRICE_LEVEL_STEPS = 20  # a price level is a multiple of 1/20


def derive_items(observations: DataFrame) -> DataFrame:
    """Derive (item_id, title, category, brand, price) from observations that occurred `n` times.

    Each column takes its most frequent value, ties to the greatest; the price is the median.
    """
    prices = observations.groupBy("item_id").agg(
        F.percentile("price", 0.5, F.col("n")).alias("price")
    )
    for column in CATALOG_COLUMNS:
        votes = (
            observations.where(F.col(column).isNotNull())
            .groupBy("item_id", column)
            .agg(F.sum("n").alias("votes"))
            .groupBy("item_id")
            .agg(F.max(F.struct("votes", column))[column].alias(column))
        )
        prices = prices.join(votes, "item_id", "left")
    return prices.select("item_id", *CATALOG_COLUMNS, "price")


def merge_items(new: DataFrame, stored: DataFrame) -> DataFrame:
    """Merge new items over the stored ones, and compute price levels and keywords again.

    `price_level` is the share of the category's items with a price that cost less, rounded to
    1/20, so that one more item changes the levels, and with them the profiles, of few others.
    """
    joined = new.alias("new").join(stored.alias("stored"), "item_id", "full_outer")
    merged = joined.select(
        "item_id",
        *[F.coalesce(f"new.{c}", f"stored.{c}").alias(c) for c in (*CATALOG_COLUMNS, "price")],
    )
    in_category = Window.partitionBy("category", F.col("price").isNull()).orderBy("price")
    level = F.when(
        F.col("price").isNotNull(),
        F.round(F.percent_rank().over(in_category) * PRICE_LEVEL_STEPS) / PRICE_LEVEL_STEPS,
    )
    return merged.select(
        "item_id", *CATALOG_COLUMNS, "price", level.alias("price_level"), _keywords("title")
    ).select(*ITEMS.column_names())


def _keywords(column: str) -> Column:
    return extract_keywords(F.col(column)).alias("keywords")
