"""Labelled cutoffs in, the same with a split by time and sampled negatives out."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.spark.hash_sampling import hash_uniform


def split_by_time(
    cutoffs: DataFrame, validation_from: datetime, test_from: datetime, horizon: timedelta
) -> DataFrame:
    """The cutoffs with their `split`: train before validation before test.

    A cutoff whose horizon reaches into the next split is left out (purging, López de Prado,
    Advances in Financial Machine Learning, 2018, ch. 7): its label would be known only when the
    next split has begun.
    """
    cutoff = F.col("cutoff_ts")
    split = (
        F.when(cutoff >= F.lit(test_from), "test")
        .when(cutoff > F.lit(test_from - horizon), None)
        .when(cutoff >= F.lit(validation_from), "validation")
        .when(cutoff > F.lit(validation_from - horizon), None)
        .otherwise("train")
    )
    return cutoffs.withColumn("split", split).where(F.col("split").isNotNull())


def sample_negatives(examples: DataFrame, rate: float, seed: int) -> DataFrame:
    """Keep the share `rate` of the training examples that buy nothing, by a seeded hash.

    `sampling_weight` is 1 / probability of being kept, so that weighted means stay those of all.
    """
    is_sampled = (F.col("split") == "train") & (F.col("buys") == 0)
    is_drawn = hash_uniform(F.lit(seed), "user_id", "cutoff_ts") < rate
    return examples.where(~is_sampled | is_drawn).withColumn(
        "sampling_weight", F.when(is_sampled, 1.0 / rate).otherwise(1.0)
    )


def rolling_windows(examples: DataFrame, n: int, horizon: timedelta) -> Iterator[DataFrame]:
    """The examples before the test split, in `n` windows of time that each reach further.

    The time is parted into n + 1 spans of about as many examples. Window k trains on the first k
    spans and is judged on the next one, half of whose users choose the epoch (validation) and half
    give the measure (test); what lies later is unknown to it. A training cutoff whose horizon
    reaches into that span is left out. Nothing of the test split is among them.
    """
    past = examples.where(F.col("split") != "test")
    shares = [k / (n + 1) for k in range(1, n + 1)]
    seconds = F.col("cutoff_ts").cast("double")
    borders = past.agg(F.percentile_approx(seconds, shares, 10_000)).head()
    if borders is None or borders[0] is None:
        return
    ends = [*borders[0][1:], float("inf")]
    is_judge = F.pmod(F.xxhash64("user_id"), F.lit(2)) == 0
    for start, end in zip(borders[0], ends, strict=True):
        split = (
            F.when(seconds >= end, None)
            .when(seconds >= start, F.when(is_judge, "test").otherwise("validation"))
            .when(seconds > start - horizon.total_seconds(), None)
            .otherwise("train")
        )
        yield past.withColumn("split", split).where(F.col("split").isNotNull())
