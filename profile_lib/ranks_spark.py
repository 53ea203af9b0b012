"""The measures of `ranks.py` on Spark: frames in, frames out, whatever the number of users."""

from collections.abc import Iterable, Iterator
from math import factorial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.draws import mixed
from profile_lib.metrics import Floats, interval

SUMS = "total array<double>, n array<double>"
# How likely a Poisson number of mean 1 is at most 0, 1, ...; more is less likely than 1e-12.
AT_MOST = np.cumsum([np.exp(-1) / factorial(n) for n in range(15)])


def found_in(lists: DataFrame, wanted: DataFrame) -> DataFrame:
    """The rank of each item of `wanted` (user_id, item_id, gain) in the user's list; null where it
    isn't listed. `lists` holds user_id, item_id and rank, from 1."""
    ranked = lists.select("user_id", "item_id", "rank")
    return wanted.join(ranked, ["user_id", "item_id"], "left")


def by_user(found: DataFrame, k: int) -> DataFrame:
    """A row a user_id with each of MEASURES among the first k; `found`: user_id, rank, gain."""
    of_user = Window.partitionBy("user_id")
    places = found.select(
        "user_id",
        "gain",
        F.col("rank").cast("double").alias("rank"),
        (F.coalesce(F.col("rank") <= k, F.lit(False))).alias("is_hit"),
        F.row_number().over(of_user.orderBy(F.col("rank").asc_nulls_last())).alias("nth"),
        F.row_number().over(of_user.orderBy(F.col("gain").desc())).alias("nth_at_best"),
    )

    def total(value: str, where: str = "is_hit") -> F.Column:
        return F.sum(F.when(F.expr(where), F.expr(value)).otherwise(0.0))

    n, hits = F.count("*"), total("1.0")
    ideal = total("gain / log2(nth_at_best + 1)", f"nth_at_best <= {k}")
    return places.groupBy("user_id").agg(
        (hits / k).alias("precision"),
        (hits / n).alias("recall"),
        (2 * hits / (k + n)).alias("f1"),
        (hits > 0).cast("double").alias("hit_rate"),
        (total("gain / log2(rank + 1)") / ideal).alias("ndcg"),
        total("1 / rank", "is_hit and nth = 1").alias("mrr"),
        (total("nth / rank") / F.least(n, F.lit(k))).alias("map"),
    )


def variety(lists: DataFrame, seen: DataFrame) -> DataFrame:
    """One row: coverage, novelty and gini of the items in `lists`; `seen` tells of each item_id of
    the catalogue `n_seen`, how often it was met."""
    shown = lists.groupBy("item_id").agg(F.count("*").alias("n_shown"))
    all_seen = seen.agg(F.sum("n_seen").alias("n_all"))
    items = (
        seen.join(shown, "item_id", "left")
        .fillna(0, ["n_shown"])
        .join(F.broadcast(all_seen))
        .withColumn("bits", -F.log2(F.greatest("n_seen", F.lit(1)) / F.greatest("n_all", F.lit(1))))
    )
    # Few numbers of times are different: items that were shown as often stand together.
    alike = items.groupBy("n_shown").agg(
        F.count("*").alias("n_items"), F.sum(F.col("n_shown") * F.col("bits")).alias("bits")
    )
    before = F.coalesce(
        F.sum("n_items").over(Window.orderBy("n_shown").rowsBetween(Window.unboundedPreceding, -1)),
        F.lit(0),
    )
    placed = alike.withColumn("middle", before + (F.col("n_items") + 1) / 2)
    n_items, n_shown = F.sum("n_items"), F.sum(F.col("n_items") * F.col("n_shown"))
    placed_sum = F.sum((2 * F.col("middle")) * F.col("n_items") * F.col("n_shown"))
    return placed.agg(
        (F.sum(F.when(F.col("n_shown") > 0, F.col("n_items")).otherwise(0)) / n_items).alias(
            "coverage"
        ),
        (F.sum("bits") / n_shown).alias("novelty"),
        (placed_sum / (n_items * n_shown) - (n_items + 1) / n_items).alias("gini"),
    )


def paired_interval(
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
                times = _times(key.view(np.uint64), resample)
                total[resample] += times @ difference
                n[resample] += times.sum()
        yield pa.RecordBatch.from_arrays([pa.array([total]), pa.array([n])], ["total", "n"])

    key = F.xxhash64("user_id", F.lit(seed)).alias("key")
    difference = (F.col("ours") - F.col("theirs")).alias("difference")
    found = both.select(key, difference).mapInArrow(sums, SUMS).toPandas()  # a row a part
    total, n = (sum(found[name], np.zeros(n_resamples)) for name in ("total", "n"))
    return interval([float(t / w) for t, w in zip(total, n, strict=True) if w > 0])


def _times(key: np.ndarray, resample: int) -> Floats:
    """How often each user comes: a number of SplitMix64's sequence (Steele et al. 2014) a user."""
    share = mixed(key + np.uint64(resample * 0x9E3779B97F4A7C15 % 2**64))
    return np.searchsorted(AT_MOST, share, side="right").astype(np.float64)
