"""Measure ranked lists on Spark as `ranking.py` does with numpy, for any number of users."""

from collections.abc import Iterable, Iterator
from math import factorial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.arrays.hash_sampling import uniform_from_bits
from profile_lib.arrays.types import Floats
from profile_lib.metrics.bootstrap import percentile_interval

SUMS_SCHEMA = "total array<double>, n array<double>"
# Probabilities that a Poisson number of mean 1 is at most 0, 1, …; larger ones occur below 1e-12.
POISSON_CDF = np.cumsum([np.exp(-1) / factorial(n) for n in range(15)])
SPLITMIX64_INCREMENT = 0x9E3779B97F4A7C15


def rank_relevant(lists: DataFrame, relevant: DataFrame) -> DataFrame:
    """Add each relevant item's rank in the user's list; null if it is not listed.

    `relevant` has the columns user_id, item_id and relevance; `lists` has user_id, item_id and
    rank, from 1.
    """
    listed = lists.select("user_id", "item_id", "rank")
    return relevant.join(listed, ["user_id", "item_id"], "left")


def ranking_metrics_per_user(ranked: DataFrame, k: int) -> DataFrame:
    """Return one row per user_id with each of RANKING_METRICS at k.

    `ranked` is the result of `rank_relevant`.
    """
    by_user = Window.partitionBy("user_id")
    rows = ranked.select(
        "user_id",
        "relevance",
        F.col("rank").cast("double").alias("rank"),
        (F.coalesce(F.col("rank") <= k, F.lit(False))).alias("is_hit"),
        F.row_number().over(by_user.orderBy(F.col("rank").asc_nulls_last())).alias("nth"),
        F.row_number().over(by_user.orderBy(F.col("relevance").desc())).alias("ideal_nth"),
    )

    def sum_where(value: str, condition: str = "is_hit") -> F.Column:
        return F.sum(F.when(F.expr(condition), F.expr(value)).otherwise(0.0))

    n_relevant, n_hits = F.count("*"), sum_where("1.0")
    ideal_dcg = sum_where("relevance / log2(ideal_nth + 1)", f"ideal_nth <= {k}")
    return rows.groupBy("user_id").agg(
        (n_hits / k).alias("precision"),
        (n_hits / n_relevant).alias("recall"),
        (2 * n_hits / (k + n_relevant)).alias("f1"),
        (n_hits > 0).cast("double").alias("hit_rate"),
        (sum_where("relevance / log2(rank + 1)") / ideal_dcg).alias("ndcg"),
        sum_where("1 / rank", "is_hit and nth = 1").alias("mrr"),
        (sum_where("nth / rank") / F.least(n_relevant, F.lit(k))).alias("map"),
    )


def catalog_metrics(lists: DataFrame, catalog: DataFrame) -> DataFrame:
    """Return one row with coverage, novelty and gini of `lists`, as in `ranking.py`.

    `lists` has the column item_id; `catalog` has item_id and n_interactions of every item.
    """
    listed = lists.groupBy("item_id").agg(F.count("*").alias("n_listed"))
    all_interactions = catalog.agg(F.sum("n_interactions").alias("n_all"))
    items = (
        catalog.join(listed, "item_id", "left")
        .fillna(0, ["n_listed"])
        .join(F.broadcast(all_interactions))
        .withColumn(
            "bits", -F.log2(F.greatest("n_interactions", F.lit(1)) / F.greatest("n_all", F.lit(1)))
        )
    )
    # Items that are listed equally often become one row, since few different numbers occur.
    by_n_listed = items.groupBy("n_listed").agg(
        F.count("*").alias("n_items"), F.sum(F.col("n_listed") * F.col("bits")).alias("bits")
    )
    n_before = F.coalesce(
        F.sum("n_items").over(
            Window.orderBy("n_listed").rowsBetween(Window.unboundedPreceding, -1)
        ),
        F.lit(0),
    )
    ranked = by_n_listed.withColumn("mean_rank", n_before + (F.col("n_items") + 1) / 2)
    n_items, n_listed = F.sum("n_items"), F.sum(F.col("n_items") * F.col("n_listed"))
    weighted_ranks = F.sum((2 * F.col("mean_rank")) * F.col("n_items") * F.col("n_listed"))
    return ranked.agg(
        (F.sum(F.when(F.col("n_listed") > 0, F.col("n_items")).otherwise(0)) / n_items).alias(
            "coverage"
        ),
        (F.sum("bits") / n_listed).alias("novelty"),
        (weighted_ranks / (n_items * n_listed) - (n_items + 1) / n_items).alias("gini"),
    )


def paired_bootstrap_interval(
    measures: DataFrame, baseline: DataFrame, measure: str, *, n_resamples: int, seed: int
) -> list[float] | None:
    """Return the 95 % interval of the mean lead of `measures` over `baseline` in `measure`.

    Each frame has one row per user_id with the column `measure`; users of only one are left out.
    Returns None if no user is left. As in `bootstrap_weights`, a user's weight in a resample is a
    Poisson number of mean 1; here it is a function of user, resample and seed.
    """
    pairs = measures.select("user_id", F.col(measure).alias("value")).join(
        baseline.select("user_id", F.col(measure).alias("baseline_value")), "user_id"
    )

    def sum_resamples(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total, n = np.zeros(n_resamples), np.zeros(n_resamples)
        for batch in batches:
            key, difference = (column.to_numpy() for column in batch.columns)
            for resample in range(n_resamples):
                weight = _poisson_counts(key.view(np.uint64), resample)
                total[resample] += weight @ difference
                n[resample] += weight.sum()
        yield pa.RecordBatch.from_arrays([pa.array([total]), pa.array([n])], ["total", "n"])

    key = F.xxhash64("user_id", F.lit(seed)).alias("key")
    difference = (F.col("value") - F.col("baseline_value")).alias("difference")
    partition_sums = pairs.select(key, difference).mapInArrow(sum_resamples, SUMS_SCHEMA).toPandas()
    total, n = (sum(partition_sums[name], np.zeros(n_resamples)) for name in ("total", "n"))
    return percentile_interval([float(t / w) for t, w in zip(total, n, strict=True) if w > 0])


def _poisson_counts(key: np.ndarray, resample: int) -> Floats:
    """Return a Poisson number of mean 1 per user, by SplitMix64 (Steele et al. 2014)."""
    increment = np.uint64(resample * SPLITMIX64_INCREMENT % 2**64)
    probability = uniform_from_bits(key + increment)
    return np.searchsorted(POISSON_CDF, probability, side="right").astype(np.float64)
