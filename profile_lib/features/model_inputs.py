"""Behaviour in, what a model reads of it out: the text and the numbers."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.context_aggregates import ORIGIN_BY_COUNT_COLUMN
from profile_lib.features.text import build_behaviour_text
from profile_lib.tables.features import NUMERIC_FEATURES


def select_model_inputs(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """What a model reads of each row of behaviour, and what tells its users apart in a report."""
    return _add_top_origins(behaviour).select(
        "user_id", "cutoff_ts", *_input_columns(max_text_events)
    )


def add_pending_input(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """`behaviour` with all that as a struct `pending_input`, of type PENDING_INPUT."""
    pending_input = F.struct(*_input_columns(max_text_events))
    return (
        _add_top_origins(behaviour)
        .withColumn("pending_input", pending_input)
        .drop(*ORIGIN_BY_COUNT_COLUMN.values())
    )


def _add_top_origins(behaviour: DataFrame) -> DataFrame:
    return behaviour.withColumns(
        {name: _most_frequent_key(counts) for counts, name in ORIGIN_BY_COUNT_COLUMN.items()}
    )


def _input_columns(max_text_events: int) -> list[Column]:
    origins = F.array(*ORIGIN_BY_COUNT_COLUMN.values())
    depth = F.col("funnel_depth_since_purchase")
    text = build_behaviour_text(
        F.col("recent"), F.col("categories"), origins, depth, max_text_events
    )
    return [
        text.alias("text"),
        build_numeric_vector().alias("numeric"),
        F.get("categories", F.lit(0))["name"].alias("top_category"),
        (F.col("n_sessions") > 1).alias("is_returning"),
        *[F.col(name) for name in ORIGIN_BY_COUNT_COLUMN.values()],
    ]


def _most_frequent_key(counts: str) -> Column:
    """The key of the largest count, the last by name among equal ones; null where there is none."""
    pairs = F.transform(
        F.map_entries(counts), lambda e: F.struct(e["value"].alias("n"), e["key"].alias("name"))
    )
    return F.array_max(pairs)["name"]


def build_numeric_vector() -> Column:
    """NUMERIC_FEATURES in their order as doubles, NaN where unknown."""
    # One expression parsed by the JVM: so many columns built one call at a time take half a second.
    known = [f"coalesce(CAST({c.name} AS DOUBLE), double('NaN'))" for c in NUMERIC_FEATURES]
    return F.expr(f"array({', '.join(known)})")
