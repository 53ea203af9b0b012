"""Collect the facts that a source holds about its users and items."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.events.cleaning import normalise_text
from profile_lib.events.column_mapping import select_columns
from profile_lib.events.identity import pseudonymise
from profile_lib.events.mapping import SourceMapping
from profile_lib.events.readers import read_input
from profile_lib.tables import USERS

DEMOGRAPHIC_COLUMNS = ("age_band", "gender", "region")
ITEM_TEXT_COLUMNS = ("title", "category", "brand")
NULL_STRING_SQL = "CAST(NULL AS STRING)"


def read_declared_users(
    spark: SparkSession, mapping: SourceMapping, path: str, key: bytes
) -> DataFrame | None:
    """Read the users that a source declares; None if it declares none.

    Columns: user_id (the pseudonym), age_band, gender, region, attributes (a map without nulls).
    """
    users = mapping.users
    if users is None:
        return None
    columns = {"raw_id": users.user_id} | {
        n: getattr(users, n) or NULL_STRING_SQL for n in DEMOGRAPHIC_COLUMNS
    }
    frame = read_input(spark, mapping, users.input, path)
    declared = select_columns(frame, columns | users.attributes, f"{mapping.name}.users", path)
    pairs = [c for n in users.attributes for c in (F.lit(n), F.col(n).cast("string"))]
    attributes = F.create_map(*pairs).cast("map<string,string>")
    return declared.select(
        pseudonymise(F.trim(F.col("raw_id").cast("string")), key).alias("user_id"),
        *[F.col(n).cast("string").alias(n) for n in DEMOGRAPHIC_COLUMNS],
        F.map_filter(attributes, lambda _, value: value.isNotNull()).alias("attributes"),
    ).dropDuplicates(["user_id"])


def summarise_seen_users(events: DataFrame) -> DataFrame:
    """Summarise a batch of events per user: user_id, raw_id, first_seen_ts, last_region.

    `last_region` is a struct (event_ts, region) of the last event with a region; null if there is
    none.
    """
    last_region = F.max(F.when(F.col("region").isNotNull(), F.struct("event_ts", "region")))
    return events.groupBy("user_id").agg(
        F.first("raw_id").alias("raw_id"),
        F.min("event_ts").alias("first_seen_ts"),
        last_region.alias("last_region"),
    )


def update_users(seen: DataFrame, declared: DataFrame | None, stored: DataFrame) -> DataFrame:
    """Compute the rows of `users` that a batch changes.

    `seen` is the result of `summarise_seen_users`, `declared` that of `read_declared_users`, and
    `stored` the table `users`. Declared facts replace stored ones. A region that is not declared is
    the last one seen, and `first_seen_ts` is the earliest of all batches, so that batches may
    arrive in any order.
    """
    facts = USERS.column_names()[1:]
    if declared is None:
        nulls = [F.lit(None).cast("string").alias(n) for n in DEMOGRAPHIC_COLUMNS]
        declared = seen.select("user_id", *nulls, _empty_map().alias("attributes"))
    old = stored.select("user_id", *[F.col(c).alias(f"old_{c}") for c in facts])
    joined = seen.join(declared, "user_id", "left").join(old, "user_id", "left")
    values = _updated_facts()
    users = joined.select("user_id", *[v.alias(n) for n, v in values.items()], *old.columns[1:])
    new_facts = F.to_json(F.struct(*facts))
    old_facts = F.to_json(F.struct(*[F.col(f"old_{c}").alias(c) for c in facts]))
    return users.where(new_facts != old_facts).select(*USERS.column_names())


def _updated_facts() -> dict[str, Column]:
    """Return the new value of each fact; columns with stored values have the prefix `old_`."""
    was_region_seen = F.col("old_region_seen_ts").isNotNull()
    old_region = F.struct(
        F.col("old_region_seen_ts").alias("event_ts"), F.col("old_region").alias("region")
    )
    last_region = F.greatest("last_region", F.when(was_region_seen, old_region))
    declared_region = F.coalesce("region", F.when(~was_region_seen, F.col("old_region")))
    return {
        "age_band": F.coalesce("age_band", "old_age_band"),
        "gender": F.coalesce("gender", "old_gender"),
        "region": F.coalesce(declared_region, last_region["region"]),
        "region_seen_ts": F.when(declared_region.isNull(), last_region["event_ts"]),
        "attributes": F.coalesce("attributes", "old_attributes", _empty_map()),
        "first_seen_ts": F.least("first_seen_ts", "old_first_seen_ts"),
    }


def _empty_map() -> Column:
    return F.create_map().cast("map<string,string>")


def read_declared_items(spark: SparkSession, mapping: SourceMapping, path: str) -> DataFrame | None:
    """Read the catalog that a source publishes; None if it publishes none.

    Columns: item_id, title, category, brand, price.
    """
    items = mapping.items
    if items is None:
        return None
    columns = {
        n: getattr(items, n) or NULL_STRING_SQL for n in ("item_id", *ITEM_TEXT_COLUMNS, "price")
    }
    frame = read_input(spark, mapping, items.input, path)
    declared = select_columns(frame, columns, f"{mapping.name}.items", path)
    return declared.select(
        F.col("item_id").cast("string").alias("item_id"),
        *ITEM_TEXT_COLUMNS,
        F.expr("try_cast(price AS DOUBLE)").alias("price"),
    )


def count_item_descriptions(
    events: DataFrame, declared: DataFrame | None, max_text_chars: int
) -> DataFrame:
    """Count how often each description of an item occurs.

    Columns: item_id, title, category, brand, price, n. Without a declared catalog, all columns come
    from the events. With one, the events add only prices. Texts are normalised after counting,
    because one title occurs in many events.
    """
    text_expressions = [
        c if c in events.columns and declared is None else NULL_STRING_SQL
        for c in ITEM_TEXT_COLUMNS
    ]
    texts = [
        F.expr(sql).cast("string").alias(name)
        for sql, name in zip(text_expressions, ITEM_TEXT_COLUMNS, strict=True)
    ]
    descriptions = events.where("item_id IS NOT NULL").select("item_id", *texts, "price")
    if declared is not None:
        descriptions = descriptions.unionByName(declared)
    counts = descriptions.groupBy("item_id", *ITEM_TEXT_COLUMNS, "price").agg(
        F.count("*").alias("n")
    )
    normalised = [
        normalise_text(F.col(n), max_text_chars, n != "title").alias(n) for n in ITEM_TEXT_COLUMNS
    ]
    return counts.select("item_id", *normalised, "price", "n")
