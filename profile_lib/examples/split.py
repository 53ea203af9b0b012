"""Split examples by time, and sample those without a purchase."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.spark.hash_sampling import hash_uniform


def split_by_time(
    cutoffs: DataFrame, validation_from: datetime, test_from: datetime, horizon: timedelta
) -> DataFrame:
    """Add the column `split`: train, then validation, then test, in order of time.

    A cutoff whose horizon reaches into the next split is dropped (purging, López de Prado,
    Advances in Financial Machine Learning, 2018, ch. 7), because its label would only be known
    after the next split has started.
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
    """Keep a share `rate` of the training examples without a purchase, and all others.

    Hash sampling chooses them. The added column `sampling_weight` is 1 / the probability that the
    example was kept, so that weighted means are unbiased.
    """
    is_train_negative = (F.col("split") == "train") & (F.col("buys") == 0)
    is_chosen = hash_uniform(F.lit(seed), "user_id", "cutoff_ts") < rate
    return examples.where(~is_train_negative | is_chosen).withColumn(
        "sampling_weight", F.when(is_train_negative, 1.0 / rate).otherwise(1.0)
    )


def rolling_windows(examples: DataFrame, n: int, horizon: timedelta) -> Iterator[DataFrame]:
    """Yield `n` rolling windows of the examples before the test split, with their own splits.

    Time is divided into n + 1 spans with about equally many examples. Window k, from 1, trains on
    the first k spans and is evaluated on the next one: half of that span's users are the validation
    split, which chooses the epoch, and half are the test split. Later examples are not in the
    window, nor are training examples whose horizon reaches into the evaluated span. Nothing is
    yielded if there is no example.
    """
    before_test = examples.where(F.col("split") != "test")
    shares = [k / (n + 1) for k in range(1, n + 1)]
    seconds = F.col("cutoff_ts").cast("double")
    borders = before_test.agg(F.percentile_approx(seconds, shares, 10_000)).head()
    if borders is None or borders[0] is None:
        return
    ends = [*borders[0][1:], float("inf")]
    is_test_user = F.pmod(F.xxhash64("user_id"), F.lit(2)) == 0
    for start, end in zip(borders[0], ends, strict=True):
        split = (
            F.when(seconds >= end, None)
            .when(seconds >= start, F.when(is_test_user, "test").otherwise("validation"))
            .when(seconds > start - horizon.total_seconds(), None)
            .otherwise("train")
        )
        yield before_test.withColumn("split", split).where(F.col("split").isNotNull())
