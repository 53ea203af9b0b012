"""Behaviour in, what a model reads of it out: the text and the numbers."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.habits import PLACES
from profile_lib.features.text import behaviour_text
from profile_lib.tables import NUMERIC_FEATURES


def model_inputs(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """What a model reads of each row of behaviour, and what tells its users apart in a report."""
    return _placed(behaviour).select("user_id", "cutoff_ts", *_inputs(max_text_events))


def add_inputs(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """`behaviour` with all that as a struct `awaits`, of type AWAITED."""
    awaits = F.struct(*_inputs(max_text_events))
    return _placed(behaviour).withColumn("awaits", awaits).drop(*PLACES.values())


def _placed(behaviour: DataFrame) -> DataFrame:
    return behaviour.withColumns({name: _commonest(counts) for counts, name in PLACES.items()})


def _inputs(max_text_events: int) -> list[Column]:
    places = F.array(*PLACES.values())
    depth = F.col("depth_since_purchase")
    text = behaviour_text(F.col("recent"), F.col("categories"), places, depth, max_text_events)
    return [
        text.alias("text"),
        numeric_vector().alias("numeric"),
        F.get("categories", F.lit(0))["name"].alias("top_category"),
        (F.col("n_sessions") > 1).alias("is_returning"),
        *[F.col(name) for name in PLACES.values()],
    ]


def _commonest(counts: str) -> Column:
    """The key of the largest count, the last by name among equal ones; null where there is none."""
    pairs = F.transform(
        F.map_entries(counts), lambda e: F.struct(e["value"].alias("n"), e["key"].alias("name"))
    )
    return F.array_max(pairs)["name"]


def numeric_vector() -> Column:
    """NUMERIC_FEATURES in their order as doubles, NaN where unknown."""
    # One expression parsed by the JVM: so many columns built one call at a time take half a second.
    known = [f"coalesce(CAST({c.name} AS DOUBLE), double('NaN'))" for c in NUMERIC_FEATURES]
    return F.expr(f"array({', '.join(known)})")
