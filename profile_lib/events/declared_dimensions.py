"""Inputs beside the events in, what they declare of users and items out."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.events.cleaning import normalise_text
from profile_lib.events.identity import pseudonymise
from profile_lib.events.mapping import SourceMapping, read_input, select_columns

DEMOGRAPHIC_COLUMNS = ("age_band", "gender", "region")
ITEM_TEXT_COLUMNS = ("title", "category", "brand")
NULL_STRING_SQL = "CAST(NULL AS STRING)"


def read_declared_users(
    spark: SparkSession, mapping: SourceMapping, path: str, key: bytes
) -> DataFrame | None:
    """(user_id, age_band, gender, region, attributes) by pseudonym; None where nothing is."""
    users = mapping.users
    if users is None:
        return None
    columns = {"raw_id": users.user_id} | {
        n: getattr(users, n) or NULL_STRING_SQL for n in DEMOGRAPHIC_COLUMNS
    }
    frame = read_input(spark, mapping, users.input, path)
    facts = select_columns(frame, columns | users.attributes, f"{mapping.name}.users", path)
    pairs = [c for n in users.attributes for c in (F.lit(n), F.col(n).cast("string"))]
    attributes = F.create_map(*pairs).cast("map<string,string>")
    return facts.select(
        pseudonymise(F.trim(F.col("raw_id").cast("string")), key).alias("user_id"),
        *[F.col(n).cast("string").alias(n) for n in DEMOGRAPHIC_COLUMNS],
        F.map_filter(attributes, lambda _, value: value.isNotNull()).alias("attributes"),
    ).dropDuplicates(["user_id"])


def read_declared_items(spark: SparkSession, mapping: SourceMapping, path: str) -> DataFrame | None:
    """(item_id, title, category, brand, price) as the source says; None where it has no such."""
    items = mapping.items
    if items is None:
        return None
    columns = {
        n: getattr(items, n) or NULL_STRING_SQL for n in ("item_id", *ITEM_TEXT_COLUMNS, "price")
    }
    frame = read_input(spark, mapping, items.input, path)
    told = select_columns(frame, columns, f"{mapping.name}.items", path)
    price = F.expr("try_cast(price AS DOUBLE)").alias("price")
    return told.select(F.col("item_id").cast("string").alias("item_id"), *ITEM_TEXT_COLUMNS, price)


def count_item_descriptions(
    events: DataFrame, declared: DataFrame | None, max_text_chars: int
) -> DataFrame:
    """What is said of items and how often: (item_id, title, category, brand, price, n).

    By the events and, where the source has a catalogue, by it alone but for the prices. Texts are
    normalised after they are counted: the same title stands in many events.
    """
    named = [
        c if c in events.columns and declared is None else NULL_STRING_SQL
        for c in ITEM_TEXT_COLUMNS
    ]
    told = [
        F.expr(c).cast("string").alias(n) for c, n in zip(named, ITEM_TEXT_COLUMNS, strict=True)
    ]
    said = events.where("item_id IS NOT NULL").select("item_id", *told, "price")
    if declared is not None:
        said = said.unionByName(declared)
    counted = said.groupBy("item_id", *ITEM_TEXT_COLUMNS, "price").agg(F.count("*").alias("n"))
    texts = [
        normalise_text(F.col(n), max_text_chars, n != "title").alias(n) for n in ITEM_TEXT_COLUMNS
    ]
    return counted.select("item_id", *texts, "price", "n")
