"""Inputs beside the events in, what they declare of users and items out."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.events.clean import normalised
from profile_lib.events.identity import pseudonym
from profile_lib.events.source import SourceMapping, read_input, select

FACTS = ("age_band", "gender", "region")
ABOUT = ("title", "category", "brand")
NOTHING = "CAST(NULL AS STRING)"


def declared_users(
    spark: SparkSession, mapping: SourceMapping, path: str, key: bytes
) -> DataFrame | None:
    """(user_id, age_band, gender, region, attributes) by pseudonym; None where nothing is."""
    users = mapping.users
    if users is None:
        return None
    columns = {"raw_id": users.user_id} | {n: getattr(users, n) or NOTHING for n in FACTS}
    frame = read_input(spark, mapping, users.input, path)
    facts = select(frame, columns | users.attributes, f"{mapping.name}.users", path)
    pairs = [c for n in users.attributes for c in (F.lit(n), F.col(n).cast("string"))]
    attributes = F.create_map(*pairs).cast("map<string,string>")
    return facts.select(
        pseudonym(F.trim(F.col("raw_id").cast("string")), key).alias("user_id"),
        *[F.col(n).cast("string").alias(n) for n in FACTS],
        F.map_filter(attributes, lambda _, value: value.isNotNull()).alias("attributes"),
    ).dropDuplicates(["user_id"])


def declared_items(spark: SparkSession, mapping: SourceMapping, path: str) -> DataFrame | None:
    """(item_id, title, category, brand, price) as the source says; None where it has no such."""
    items = mapping.items
    if items is None:
        return None
    columns = {n: getattr(items, n) or NOTHING for n in ("item_id", *ABOUT, "price")}
    frame = read_input(spark, mapping, items.input, path)
    told = select(frame, columns, f"{mapping.name}.items", path)
    price = F.expr("try_cast(price AS DOUBLE)").alias("price")
    return told.select(F.col("item_id").cast("string").alias("item_id"), *ABOUT, price)


def count_told(events: DataFrame, given: DataFrame | None, max_text_chars: int) -> DataFrame:
    """What is said of items and how often: (item_id, title, category, brand, price, n).

    By the events and, where the source has a catalogue, by it alone but for the prices. Texts are
    normalised after they are counted: the same title stands in many events.
    """
    named = [c if c in events.columns and given is None else NOTHING for c in ABOUT]
    told = [F.expr(c).cast("string").alias(n) for c, n in zip(named, ABOUT, strict=True)]
    said = events.where("item_id IS NOT NULL").select("item_id", *told, "price")
    if given is not None:
        said = said.unionByName(given)
    counted = said.groupBy("item_id", *ABOUT, "price").agg(F.count("*").alias("n"))
    texts = [normalised(F.col(n), max_text_chars, n != "title").alias(n) for n in ABOUT]
    return counted.select("item_id", *texts, "price", "n")
