"""Project histories to the rows that behaviour needs.

There is one row per event, with the catalog's columns of its item, one row per keyword of a search
query, and one row per pair of user and cutoff with older events. The keywords have rows of their
own so that only they are joined by word.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.as_of import PAIR
from profile_lib.features.catalog_words import (
    ProjectedCatalog,
    explode_keywords,
    weigh_query_words,
)
from profile_lib.features.histories import unfold_events
from profile_lib.spark.timestamps import local_time
from profile_lib.tables.events import CONTEXT_COLUMNS, EVENT_TYPES, STEPS


def project_histories(histories: DataFrame, catalog: ProjectedCatalog, time_zone: str) -> DataFrame:
    """Return the rows that `build_event_log` reads from histories as of cutoffs.

    `time_zone` is the shop's, for events without one. Spark broadcasts the items if they are few,
    else it shuffles.
    """
    events_as_of = unfold_events(histories, PAIR)
    older = histories.where("older_known_ts IS NOT NULL").select(
        *_pair_keys(), F.unix_micros("first_ts").alias("first_micros"), "older"
    )
    query_words = events_as_of.where("query IS NOT NULL").select(
        *_pair_columns(), explode_keywords(F.col("query"))
    )
    named = weigh_query_words(query_words, catalog).withColumns(
        {
            "query_word": F.coalesce("catalog_form", "query_word"),
            "query_form": F.coalesce("catalog_form", "query_form"),
        }
    )
    rows = _project_event_rows(events_as_of, catalog.items, time_zone)
    for others in (named.drop("catalog_form"), older):
        rows = rows.unionByName(others, allowMissingColumns=True)
    return rows


def _project_event_rows(events_as_of: DataFrame, items: DataFrame, time_zone: str) -> DataFrame:
    joined = events_as_of.join(items, "item_id", "left")
    return joined.select(
        *_pair_columns(),
        "user_id",
        F.unix_micros("cutoff_ts").alias("cutoff"),
        F.unix_micros(local_time(F.col("event_ts"), time_zone)).alias("local_micros"),
        F.unix_micros(local_time(F.col("cutoff_ts"), time_zone)).alias("local_cutoff"),
        F.col("time_zone").isNotNull().alias("has_time_zone"),
        _category_code("step", STEPS).alias("step"),
        "item_id",
        F.coalesce("query", "text").alias("query_or_text"),
        "rating",
        "price",
        F.coalesce("quantity", F.lit(1.0)).alias("quantity"),
        "dwell_seconds",
        "order_id",
        *CONTEXT_COLUMNS,
        "title",
        "category",
        "brand",
        "price_level",
        "keyword_weights",
    )


def _pair_keys() -> list[Column]:
    """Return two hashes of the pair: longs, which Spark sorts fastest, and together unique."""
    return [
        F.xxhash64(*PAIR).alias("pair_key"),
        F.xxhash64(F.lit("second"), *PAIR).alias("second_pair_key"),
    ]


def _pair_columns() -> list[Column]:
    """Return the columns of rows of events and words: pair keys, sort keys and kind."""
    return [
        *_pair_keys(),
        F.unix_micros("event_ts").alias("micros"),
        F.col("sequence"),
        F.col("event_id"),
        _category_code("event_type", EVENT_TYPES).alias("kind"),
    ]


def _category_code(column: str, names: tuple[str, ...]) -> Column:
    """Return the index of a value among these names; -1 for any other value."""
    listed = ", ".join(f"'{name}'" for name in names)
    code = F.expr(f"coalesce(array_position(array({listed}), {column}), 0) - 1")
    return code.cast("byte")
