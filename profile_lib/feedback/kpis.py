"""Measure click, conversion and revenue rates by day and dimension, and by arm."""

from collections.abc import Sequence
from statistics import NormalDist

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError
from profile_lib.feedback.ratio_moments import interval_columns, moments_column

UNKNOWN, ALL = "unknown", "all"


def measure_feedback(
    feedback: DataFrame, dimensions: Sequence[str], confidence_level: float
) -> DataFrame:
    """Build the table `feedback_measures`: rates per day, dimension and value of the dimension.

    A dimension is a column of `feedback`; an impression counts for each element if the value is a
    list. The dimension `all` holds all impressions. Only complete impressions count. Intervals have
    the confidence `confidence_level` and take users as independent, not impressions.

    Raises InputError if a dimension is not a column.
    """
    if missing := [name for name in dimensions if name not in feedback.columns]:
        raise InputError(
            f"feedback.dimensions: no columns {missing}; wanted some of {feedback.columns}"
        )
    z_score = NormalDist().inv_cdf((1 + confidence_level) / 2)
    everything = F.array(F.struct(F.lit(ALL).alias("dimension"), F.lit(ALL).alias("value")))
    cells = F.concat(everything, *(_cells(feedback, name) for name in dimensions))
    by_user = (
        feedback.where("is_complete")
        .withColumn("cell", F.explode(cells))
        .groupBy("shown_date", "cell.dimension", "cell.value", "user_id")
        .agg(*_sums())
        .withColumn("revenue_times_1000", 1000 * F.col("revenue"))
    )
    cell = ("shown_date", "dimension", "value")
    counts = ("n_impressions", "n_clicked", "n_bought", "revenue")
    return (
        by_user.groupBy(*cell)
        .agg(
            F.count("*").alias("n_users"),
            *(F.sum(name).alias(name) for name in counts),
            moments_column("n_impressions", "n_clicked").alias("ctr"),
            moments_column("n_clicked", "n_clicked_and_bought").alias("cvr"),
            moments_column("n_impressions", "revenue_times_1000").alias("revenue_per_1000"),
        )
        .select(
            *cell,
            "n_users",
            *counts,
            *interval_columns("ctr", z_score, upper_bound=1.0),
            *interval_columns("cvr", z_score, upper_bound=1.0),
            *interval_columns("revenue_per_1000", z_score),
        )
    )


def _cells(feedback: DataFrame, name: str) -> Column:
    """Return the values of a column as an array of structs (dimension, value)."""
    is_list = isinstance(feedback.schema[name].dataType, T.ArrayType)
    values = F.array_distinct(name) if is_list else F.array(F.col(name))
    texts = values.cast("array<string>")
    return F.transform(
        F.when(F.size(texts) > 0, texts).otherwise(F.array(F.lit(UNKNOWN))),
        lambda value: F.struct(
            F.lit(name).alias("dimension"), F.coalesce(value, F.lit(UNKNOWN)).alias("value")
        ),
    )


def _sums() -> list[Column]:
    return [
        F.count("*").alias("n_impressions"),
        F.count_if("is_clicked").alias("n_clicked"),
        F.count_if("is_bought").alias("n_bought"),
        F.count_if(F.expr("is_bought AND is_clicked")).alias("n_clicked_and_bought"),
        F.sum("revenue").alias("revenue"),
    ]


def measure_arms(feedback: DataFrame, experiment: str) -> DataFrame:
    """Sum the Moments of each arm of an experiment over its complete impressions.

    Columns: `variant`, `n_users_in_several_arms` (users of the arm who were in another one as
    well), `ctr` (Moments of clicks per impression) and `revenue` (Moments of revenue per user).
    """
    impressions = feedback.where(F.col("is_complete") & (F.col("experiment") == experiment))
    variant = F.coalesce("variant", F.lit(UNKNOWN))
    by_user = impressions.groupBy("user_id").agg(
        F.min(variant).alias("variant"), F.max(variant).alias("last_variant"), *_sums()
    )
    return (
        by_user.withColumn("one", F.lit(1.0))
        .groupBy("variant")
        .agg(
            F.count_if(F.expr("variant != last_variant")).alias("n_users_in_several_arms"),
            moments_column("n_impressions", "n_clicked").alias("ctr"),
            moments_column("one", "revenue").alias("revenue"),
        )
    )
