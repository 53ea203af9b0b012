"""The measures of `ranks.py` on Spark: frames in, frames out, whatever the number of users."""

from collections.abc import Iterable, Iterator
from math import factorial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.arrays.hash_sampling import uniform_from_bits
from profile_lib.metrics.classification import Floats, percentile_interval

SUMS_SCHEMA = "total array<double>, n array<double>"
# How likely a Poisson number of mean 1 is at most 0, 1, ...; more is less likely than 1e-12.
POISSON_CDF = np.cumsum([np.exp(-1) / factorial(n) for n in range(15)])


def rank_relevant(lists: DataFrame, relevant: DataFrame) -> DataFrame:
    """The rank of each item of `relevant` (user_id, item_id, relevance) in the user's list; null where it
    isn't listed. `lists` holds user_id, item_id and rank, from 1."""
    listed = lists.select("user_id", "item_id", "rank")
    return relevant.join(listed, ["user_id", "item_id"], "left")


def ranking_metrics_per_user(ranked: DataFrame, k: int) -> DataFrame:
    """A row a user_id with each of RANKING_METRICS among the first k; `ranked`: user_id, rank, relevance."""
    of_user = Window.partitionBy("user_id")
    places = ranked.select(
        "user_id",
        "relevance",
        F.col("rank").cast("double").alias("rank"),
        (F.coalesce(F.col("rank") <= k, F.lit(False))).alias("is_hit"),
        F.row_number().over(of_user.orderBy(F.col("rank").asc_nulls_last())).alias("nth"),
        F.row_number().over(of_user.orderBy(F.col("relevance").desc())).alias("nth_at_best"),
    )

    def total(value: str, where: str = "is_hit") -> F.Column:
        return F.sum(F.when(F.expr(where), F.expr(value)).otherwise(0.0))

    n, hits = F.count("*"), total("1.0")
    ideal = total("relevance / log2(nth_at_best + 1)", f"nth_at_best <= {k}")
    return places.groupBy("user_id").agg(
        (hits / k).alias("precision"),
        (hits / n).alias("recall"),
        (2 * hits / (k + n)).alias("f1"),
        (hits > 0).cast("double").alias("hit_rate"),
        (total("relevance / log2(rank + 1)") / ideal).alias("ndcg"),
        total("1 / rank", "is_hit and nth = 1").alias("mrr"),
        (total("nth / rank") / F.least(n, F.lit(k))).alias("map"),
    )


def catalog_metrics(lists: DataFrame, seen: DataFrame) -> DataFrame:
    """One row: coverage, novelty and gini of the items in `lists`; `seen` tells of each item_id of
    the catalogue `n_interactions`, how often it was met."""
    shown = lists.groupBy("item_id").agg(F.count("*").alias("n_listed"))
    all_seen = seen.agg(F.sum("n_interactions").alias("n_all"))
    items = (
        seen.join(shown, "item_id", "left")
        .fillna(0, ["n_listed"])
        .join(F.broadcast(all_seen))
        .withColumn(
            "bits", -F.log2(F.greatest("n_interactions", F.lit(1)) / F.greatest("n_all", F.lit(1)))
        )
    )
    # Few numbers of times are different: items that were shown as often stand together.
    alike = items.groupBy("n_listed").agg(
        F.count("*").alias("n_items"), F.sum(F.col("n_listed") * F.col("bits")).alias("bits")
    )
    before = F.coalesce(
        F.sum("n_items").over(
            Window.orderBy("n_listed").rowsBetween(Window.unboundedPreceding, -1)
        ),
        F.lit(0),
    )
    placed = alike.withColumn("middle", before + (F.col("n_items") + 1) / 2)
    n_items, n_listed = F.sum("n_items"), F.sum(F.col("n_items") * F.col("n_listed"))
    placed_sum = F.sum((2 * F.col("middle")) * F.col("n_items") * F.col("n_listed"))
    return placed.agg(
        (F.sum(F.when(F.col("n_listed") > 0, F.col("n_items")).otherwise(0)) / n_items).alias(
            "coverage"
        ),
        (F.sum("bits") / n_listed).alias("novelty"),
        (placed_sum / (n_items * n_listed) - (n_items + 1) / n_items).alias("gini"),
    )


def paired_bootstrap_interval(
    ours: DataFrame, theirs: DataFrame, measure: str, *, n_resamples: int, seed: int
) -> list[float] | None:
    """The middle 95 % of the mean of ours less theirs over resamples of the users in both.

    Each holds a row a user_id with the measure. A user comes as often as a Poisson draw of mean 1
    says, which depends on user, resample and seed alone; see `metrics.bootstrap_weights`.
    """
    both = ours.select("user_id", F.col(measure).alias("ours")).join(
        theirs.select("user_id", F.col(measure).alias("theirs")), "user_id"
    )

    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total, n = np.zeros(n_resamples), np.zeros(n_resamples)
        for batch in batches:
            key, difference = (column.to_numpy() for column in batch.columns)
            for resample in range(n_resamples):
                times = _poisson_counts(key.view(np.uint64), resample)
                total[resample] += times @ difference
                n[resample] += times.sum()
        yield pa.RecordBatch.from_arrays([pa.array([total]), pa.array([n])], ["total", "n"])

    key = F.xxhash64("user_id", F.lit(seed)).alias("key")
    difference = (F.col("ours") - F.col("theirs")).alias("difference")
    found = both.select(key, difference).mapInArrow(sums, SUMS_SCHEMA).toPandas()  # a row a part
    total, n = (sum(found[name], np.zeros(n_resamples)) for name in ("total", "n"))
    return percentile_interval([float(t / w) for t, w in zip(total, n, strict=True) if w > 0])


def _poisson_counts(key: np.ndarray, resample: int) -> Floats:
    """How often each user comes: a number of SplitMix64's sequence (Steele et al. 2014) a user."""
    share = uniform_from_bits(key + np.uint64(resample * 0x9E3779B97F4A7C15 % 2**64))
    return np.searchsorted(POISSON_CDF, share, side="right").astype(np.float64)
