"""Collect what a source says about its users, and the catalog that it declares."""

from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.events.cleaning import clean_id
from profile_lib.events.facts import aggregate_facts, facts_or_empty, merge_facts
from profile_lib.events.mapping import ItemColumns, Times, UserColumns
from profile_lib.events.raw_ids import to_text, trim_text
from profile_lib.events.values import to_number, to_time
from profile_lib.tables import USERS
from profile_lib.tables.users import DEMOGRAPHIC_COLUMNS

ATTRIBUTE = "attributes."  # prefix of the columns that hold attributes, whose names are free
DECLARED_ITEM_COLUMNS = ("title", "category", "brand", "price")


def user_expressions(users: UserColumns) -> dict[str, str]:
    """Return the SQL expressions of the columns that `declared_users` reads."""
    demographics = {n: sql for n in DEMOGRAPHIC_COLUMNS if (sql := getattr(users, n)) is not None}
    attributes = {ATTRIBUTE + name: sql for name, sql in users.attributes.items()}
    updated = {} if users.updated_ts is None else {"updated_ts": users.updated_ts}
    return {"user_id": users.user_id} | updated | demographics | attributes


def clean_ids(rows: DataFrame, name: str, placeholder_ids: Sequence[str]) -> DataFrame:
    """Return the rows with ids as `events` has them.

    Null: the row has no valid id.
    """
    text = to_text(F.col(name), rows.schema[name].dataType)
    trimmed = rows.withColumn(name, trim_text(text))
    return trimmed.withColumn(name, clean_id(name, placeholder_ids).value)


def declared_users(
    rows: DataFrame,
    users: UserColumns,
    times: Times,
    pseudonymise: Callable[[Column], Column],
    arrival: str,
) -> DataFrame:
    """Return the latest facts that rows of a source declare: user_id, declared, arrived_ts.

    `arrived_ts` is the last arrival of the user's rows: until then, all of the facts were known.
    `rows` has the columns of `user_expressions`, with the ids of `clean_ids`, and `arrival`, the
    time of each row's arrival. A fact holds as of the row's `updated_ts`, and at the latest as of
    its arrival. `times` says how `updated_ts` is written; if it cannot be read, the arrival counts.
    Facts that the source does not declare are missing in the map, and so are those that no partial
    row holds. A row without an id is left out.
    """
    facts = [n for n in user_expressions(users) if n not in ("user_id", "updated_ts")]
    declared_ts = F.col(arrival)
    if users.updated_ts is not None:
        # A time after the arrival is the error of a clock, and would win for ever.
        data_type = rows.schema["updated_ts"].dataType
        declared_ts = F.least(to_time(F.col("updated_ts"), data_type, times), declared_ts)
    values = {name.removeprefix(ATTRIBUTE): F.col(f"`{name}`") for name in facts}
    return (
        rows.where("user_id IS NOT NULL")
        .groupBy(pseudonymise(F.col("user_id")).alias("user_id"))
        .agg(
            aggregate_facts(declared_ts, values, users.is_partial).alias("declared"),
            F.max(arrival).alias("arrived_ts"),
        )
    )


def summarise_seen_users(events: DataFrame) -> DataFrame:
    """Summarise events per user: user_id, raw_id, id_space, first_seen_ts.

    `id_space` is null if the events do not have it.
    """
    space = F.col("id_space") if "id_space" in events.columns else F.lit(None).cast("string")
    return events.groupBy("user_id").agg(
        F.first("raw_id").alias("raw_id"),
        F.first(space, ignorenulls=True).alias("id_space"),
        F.min("event_ts").alias("first_seen_ts"),
    )


def build_users(seen: DataFrame, declared: DataFrame | None) -> DataFrame:
    """Build rows of `users`, with raw_id and id_space, from seen and declared users."""
    rows = seen if declared is None else seen.join(declared, "user_id", "full_outer")
    facts = facts_or_empty(None if declared is None else F.col("declared"))
    columns = user_columns(facts, F.col("first_seen_ts"))
    return rows.select("user_id", *[c.alias(n) for n, c in columns.items()], "raw_id", "id_space")


def merged_user_columns() -> dict[str, Column]:
    """Return the columns of a row of `users`, merged from `source` and `target`."""
    return user_columns(
        merge_facts(F.col("target.declared"), F.col("source.declared")),
        F.least("target.first_seen_ts", "source.first_seen_ts"),
    )


def select_changed_users(users: DataFrame, stored: DataFrame) -> DataFrame:
    """Select the rows that a merge with the stored table would add or change.

    `raw_id` is null for users who are stored as seen already.
    """
    joined = users.alias("source").join(stored.alias("target"), "user_id", "left")
    merged = merged_user_columns()
    is_known = (
        F.col("target.declared").isNotNull()
        & (F.map_entries(merged["declared"]) == F.map_entries("target.declared"))
        & merged["first_seen_ts"].eqNullSafe(F.col("target.first_seen_ts"))
    )
    new_raw_id = F.when(F.col("target.first_seen_ts").isNull(), F.col("raw_id")).alias("raw_id")
    columns = [f"source.{c}" for c in USERS.column_names()[1:]]
    return joined.where(~is_known).select("user_id", *columns, new_raw_id, "id_space")


def user_columns(declared: Column, first_seen_ts: Column) -> dict[str, Column]:
    """Return the columns of `users` except the key, in declared order."""
    others = F.map_filter(
        declared, lambda name, fact: ~name.isin(*DEMOGRAPHIC_COLUMNS) & fact["value"].isNotNull()
    )
    columns = {name: declared[name]["value"] for name in DEMOGRAPHIC_COLUMNS} | {
        "attributes": F.transform_values(others, lambda _, fact: fact["value"]),
        "declared": declared,
        "first_seen_ts": first_seen_ts,
    }
    return {name: columns[name] for name in USERS.column_names()[1:]}


def item_expressions(items: ItemColumns) -> dict[str, str]:
    """Return the SQL expressions of the columns that `declared_items` reads."""
    names = ("item_id", *DECLARED_ITEM_COLUMNS)
    return {name: sql for name in names if (sql := getattr(items, name)) is not None}


def declared_items(
    rows: DataFrame, items: ItemColumns, decimal_sign: str, arrival: str
) -> DataFrame:
    """Return the rows of a catalog: item_id, title, category, brand, price, declared_ts.

    `rows` has the columns of `item_expressions`, with the ids of `clean_ids`, and `arrival`, the
    time of each row's arrival. The price is null if it is no number, and missing if the source does
    not declare one; `decimal_sign` is that of prices in texts. A row without an id is left out.
    """
    values = [
        to_number(F.col(name), rows.schema[name].dataType, decimal_sign).alias(name)
        if name == "price"
        else F.col(name)
        for name in item_expressions(items)
        if name != "item_id"
    ]
    columns = rows.select("item_id", *values, F.col(arrival).alias("declared_ts"))
    return columns.where("item_id IS NOT NULL")
