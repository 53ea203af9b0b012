"""Build the catalog from descriptions of items by events or by a source."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.keywords import extract_keywords
from profile_lib.tables import ITEMS

CATALOG_COLUMNS = ("title", "category", "brand")
PRICE_LEVEL_STEPS = 20  # a price level is a multiple of 1/20


def derive_items(descriptions: DataFrame) -> DataFrame:
    """Derive one row per item from its descriptions: each takes the most frequent values.

    `descriptions` has the columns item_id, title, category, brand, price and `n`, the number of
    times that each occurs. If values are equally frequent, the greatest is taken. The price is the
    median. Returns (item_id, title, category, brand, price).
    """
    prices = descriptions.groupBy("item_id").agg(
        F.percentile("price", 0.5, F.col("n")).alias("price")
    )
    for column in CATALOG_COLUMNS:
        votes = (
            descriptions.where(F.col(column).isNotNull())
            .groupBy("item_id", column)
            .agg(F.sum("n").alias("votes"))
            .groupBy("item_id")
            .agg(F.max(F.struct("votes", column))[column].alias(column))
        )
        prices = prices.join(votes, "item_id", "left")
    return prices.select("item_id", *CATALOG_COLUMNS, "price")


def merge_items(new: DataFrame, stored: DataFrame) -> DataFrame:
    """Merge new items over the stored ones, and compute price levels and keywords again.

    `price_level` is the share of the priced items of the category that cost less. It is rounded to
    1/20, so that one more item changes the levels of few others, and with them few profiles.
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
