"""Feedback in, how well what was shown did out: by whatever tells it apart, and by arm."""

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
    """One row a day, dimension and value, as `feedback_measures` declares it, and one of all.

    A dimension is a column; of a list each value counts. Impressions that are not complete do not.
    Intervals are of the confidence `confidence_level`, users their unit. Raises InputError where a
    dimension is no column.
    """
    if missing := [name for name in dimensions if name not in feedback.columns]:
        raise InputError(f"feedback.dimensions: no columns {missing}; there are {feedback.columns}")
    normal = NormalDist().inv_cdf((1 + confidence_level) / 2)
    every = F.array(F.struct(F.lit(ALL).alias("dimension"), F.lit(ALL).alias("value")))
    cells = F.concat(every, *(_cells(feedback, name) for name in dimensions))
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
            *interval_columns("ctr", normal, upper_bound=1.0),
            *interval_columns("cvr", normal, upper_bound=1.0),
            *interval_columns("revenue_per_1000", normal),
        )
    )


def _cells(feedback: DataFrame, name: str) -> Column:
    """The values of a column as structs of dimension and value."""
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
    """One row an arm of the experiment: variant, and Moments of `ctr` and of `revenue` a user.

    `n_users_in_several_arms` tells how many of the arm's users were in another one too. Impressions that are not
    complete do not count.
    """
    seen = feedback.where(F.col("is_complete") & (F.col("experiment") == experiment))
    variant = F.coalesce("variant", F.lit(UNKNOWN))
    by_user = seen.groupBy("user_id").agg(
        F.min(variant).alias("variant"), F.max(variant).alias("other"), *_sums()
    )
    return (
        by_user.withColumn("one", F.lit(1.0))
        .groupBy("variant")
        .agg(
            F.count_if(F.expr("variant != other")).alias("n_users_in_several_arms"),
            moments_column("n_impressions", "n_clicked").alias("ctr"),
            moments_column("one", "revenue").alias("revenue"),
        )
    )
