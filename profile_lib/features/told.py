"""Known events and items in, what behaviour needs of them out, as rows that are small to move.

One row an event, with what the catalogue says of its item, and one row a counted word of a query.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.words import keywords
from profile_lib.tables import EVENT_TYPES, ORIGINS, STEPS


def tell(known: DataFrame, items: DataFrame) -> DataFrame:
    """Events and words of queries, as `log.in_log` reads them; `n_items` is the catalogue's size.

    Items are joined by broadcast where Spark sees that they are few, else by a shuffle.
    """
    rows = _events(known, items).unionByName(_asked(known, items), allowMissingColumns=True)
    return rows.crossJoin(F.broadcast(items.agg(F.count("*").alias("n_items"))))


def _events(known: DataFrame, items: DataFrame) -> DataFrame:
    facts = items.select("item_id", "title", "category", "brand", "price_level")
    joined = known.join(facts, "item_id", "left").join(_words(items), "item_id", "left")
    return joined.select(
        *_identity(),
        "user_id",
        F.unix_micros("cutoff_ts").alias("cutoff"),
        _code("step", STEPS).alias("step"),
        "item_id",
        F.coalesce("query", "text").alias("said"),
        "rating",
        "price",
        F.coalesce("quantity", F.lit(1)).alias("pieces"),
        F.col("dwell_seconds").alias("dwell"),
        "order_id",
        *ORIGINS,
        "title",
        "category",
        "brand",
        "price_level",
        "words",
    )


def _words(items: DataFrame) -> DataFrame:
    """(item_id, words): each item's keywords, and how many items hold each.

    By a window in place of a join, so that Spark knows beforehand that few items make few rows.
    """
    holders = F.count("*").over(Window.partitionBy("name")).alias("n_holders")
    named = items.select("item_id", F.explode("keywords").alias("name"))
    counted = named.select("item_id", F.struct("name", holders).alias("word"))
    return counted.groupBy("item_id").agg(F.collect_list("word").alias("words"))


def _asked(known: DataFrame, items: DataFrame) -> DataFrame:
    """Each counted word of each query known, and how many items hold it."""
    holders = (
        items.select(F.explode("keywords").alias("asked"))
        .groupBy("asked")
        .agg(F.count("*").alias("n_holders"))
    )
    words = known.where("query IS NOT NULL").select(
        *_identity(), F.explode(keywords(F.col("query"))).alias("asked")
    )
    return words.join(holders, "asked", "left")


def _identity() -> list[Column]:
    """Of which pair of user and cutoff a row is, and its place in the pair's order."""
    return [
        F.xxhash64("user_id", "cutoff_ts").alias("pair_key"),  # a long: sorted without a comparison
        F.unix_micros("event_ts").alias("micros"),
        F.col("event_id"),
        _code("event_type", EVENT_TYPES).alias("kind"),
    ]


def _code(column: str, names: tuple[str, ...]) -> Column:
    """The place of a value among these names, -1 where it is none of them."""
    listed = ", ".join(f"'{name}'" for name in names)
    place = F.expr(f"coalesce(array_position(array({listed}), {column}), 0) - 1")
    return place.cast("byte")
