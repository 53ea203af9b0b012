"""Build the inputs of a model from behaviour: text, numbers and categories."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.context_aggregates import CONTEXT_BY_COUNT_COLUMN
from profile_lib.features.text import build_behaviour_text
from profile_lib.tables.features import NUMERIC_FEATURES


def select_model_inputs(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """Select user_id, cutoff_ts and the model's input.

    Some of its categories also serve as segments by which an evaluation reports quality.
    """
    return _add_top_contexts(behaviour).select(
        "user_id", "cutoff_ts", *_input_columns(max_text_events)
    )


def add_pending_input(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """Add the model's input as a struct `pending_input` of type PENDING_INPUT."""
    pending_input = F.struct(*_input_columns(max_text_events))
    return (
        _add_top_contexts(behaviour)
        .withColumn("pending_input", pending_input)
        .drop(*CONTEXT_BY_COUNT_COLUMN.values())
    )


def build_numeric_vector() -> Column:
    """Return NUMERIC_FEATURES in their order as an array of doubles, NaN if unknown."""
    # The JVM parses one expression: building so many columns by single calls takes half a second.
    numbers = [f"coalesce(CAST({c.name} AS DOUBLE), double('NaN'))" for c in NUMERIC_FEATURES]
    return F.expr(f"array({', '.join(numbers)})")


def _add_top_contexts(behaviour: DataFrame) -> DataFrame:
    return behaviour.withColumns(
        {context: _most_frequent_key(counts) for counts, context in CONTEXT_BY_COUNT_COLUMN.items()}
    )


def _input_columns(max_text_events: int) -> list[Column]:
    contexts = F.array(*CONTEXT_BY_COUNT_COLUMN.values())
    funnel_depth = F.col("funnel_depth_since_purchase")
    text = build_behaviour_text(
        F.col("recent"), F.col("categories"), contexts, funnel_depth, max_text_events
    )
    return [
        text.alias("text"),
        build_numeric_vector().alias("numeric"),
        F.get("categories", F.lit(0))["name"].alias("top_category"),
        (F.col("n_sessions") > 1).alias("is_returning"),
        *[F.col(name) for name in CONTEXT_BY_COUNT_COLUMN.values()],
    ]


def _most_frequent_key(counts: str) -> Column:
    """Return the key with the largest count; of equal counts the last by name.

    It is null for an empty map.
    """
    pairs = F.transform(
        F.map_entries(counts), lambda e: F.struct(e["value"].alias("n"), e["key"].alias("name"))
    )
    return F.array_max(pairs)["name"]
