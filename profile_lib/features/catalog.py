"""What events or a source say of items in, the catalogue out."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.keywords import extract_keywords
from profile_lib.tables import ITEMS

CATALOG_COLUMNS = ("title", "category", "brand")
PRICE_LEVEL_STEPS = 20  # steps of a price level


def derive_items(observations: DataFrame) -> DataFrame:
    """(item_id, title, category, brand, price) from what is told of items `n` times each.

    Of each column the most frequent value, ties to the greatest; of the price the median.
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
    """The table `items`: what is new said over what was known, levels and words computed anew.

    `price_level` is the share of the category's priced items that cost less, to the next
    twentieth: an item more then changes the level of few others, and with them few profiles.
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
        "item_id", *CATALOG_COLUMNS, "price", level.alias("price_level"), _words_of("title")
    ).select(*ITEMS.column_names())


def _words_of(column: str) -> Column:
    return extract_keywords(F.col(column)).alias("keywords")
