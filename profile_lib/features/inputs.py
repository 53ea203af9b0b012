"""Behaviour in, what a model reads of it out: the text and the numbers."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.text import behaviour_text
from profile_lib.tables import NUMERIC_FEATURES


def model_inputs(behaviour: DataFrame, max_text_events: int) -> DataFrame:
    """(user_id, cutoff_ts, text, numeric, top_category) of each row of behaviour."""
    return behaviour.select(
        "user_id",
        "cutoff_ts",
        behaviour_text(F.col("recent"), F.col("categories"), max_text_events).alias("text"),
        numeric_vector().alias("numeric"),
        F.get("categories", F.lit(0))["name"].alias("top_category"),
    )


def numeric_vector() -> Column:
    """NUMERIC_FEATURES in their order as doubles, NaN where unknown."""
    unknown = F.lit(float("nan"))
    return F.array(*[F.coalesce(F.col(c.name).cast("double"), unknown) for c in NUMERIC_FEATURES])
