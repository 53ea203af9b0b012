"""Behaviour in, what a model reads of it out: the text and the numbers."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.habits import PLACES
from profile_lib.features.text import behaviour_text
from profile_lib.tables import NUMERIC_FEATURES


def model_inputs(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """What a model reads of each row of behaviour, and what tells its users apart in a report."""
    seen = behaviour.withColumns({name: _commonest(counts) for counts, name in PLACES.items()})
    places = F.array(*PLACES.values())
    text = behaviour_text(
        F.col("recent"), F.col("categories"), places, F.col("depth_since_purchase"), max_text_events
    )
    return seen.select(
        "user_id",
        "cutoff_ts",
        text.alias("text"),
        numeric_vector().alias("numeric"),
        F.get("categories", F.lit(0))["name"].alias("top_category"),
        (F.col("n_sessions") > 1).alias("is_returning"),
        *PLACES.values(),
    )


def _commonest(counts: str) -> Column:
    """The key of the largest count, the last by name among equal ones; null where there is none."""
    pairs = F.transform(
        F.map_entries(counts), lambda e: F.struct(e["value"].alias("n"), e["key"].alias("name"))
    )
    return F.array_max(pairs)["name"]


def numeric_vector() -> Column:
    """NUMERIC_FEATURES in their order as doubles, NaN where unknown."""
    unknown = F.lit(float("nan"))
    return F.array(*[F.coalesce(F.col(c.name).cast("double"), unknown) for c in NUMERIC_FEATURES])
