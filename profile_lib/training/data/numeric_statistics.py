"""Fit the statistics of numeric features on the train split, by Spark aggregates only."""

import math
from collections.abc import Sequence

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.model.numeric_encoder import NumericStatistics

# A feature is heavy-tailed if its largest absolute value exceeds the median absolute value of its
# nonzero values by this factor.
HEAVY_TAIL_RATIO = 10.0


def compute_numeric_statistics(
    train: DataFrame, names: Sequence[str], bins: int
) -> list[NumericStatistics]:
    """Compute mean, deviation and bin edges of each value in the column `numeric`.

    `names` are the features in the order of the column. The edges are 0, if it occurs, and `bins` +
    1 approximate quantiles of the nonzero values: most counts are 0 most of the time, so that
    quantiles of all values would hardly differ. It takes one pass over `train`.
    """
    x = F.col("x").cast("double")
    nonzero = F.when(x != 0, x)
    logged = F.signum(x) * F.log1p(F.abs(x))
    levels = [i / bins for i in range(bins + 1)]
    aggregates = (
        train.select(F.posexplode("numeric").alias("position", "x"))
        .where(~F.isnan("x") & F.col("x").isNotNull())
        .groupBy("position")
        .agg(
            F.avg(x).alias("mean"),
            F.stddev_pop(x).alias("deviation"),
            F.avg(logged).alias("logged_mean"),
            F.stddev_pop(logged).alias("logged_deviation"),
            F.max(F.abs(x)).alias("largest"),
            F.percentile_approx(F.abs(nonzero), 0.5).alias("median"),
            F.percentile_approx(nonzero, levels).alias("quantiles"),
            F.max((x == 0).cast("int")).alias("has_zero"),
        )
    )
    rows = {row["position"]: row for row in aggregates.collect()}
    return [_to_statistics(name, rows.get(i)) for i, name in enumerate(names)]


def _to_statistics(name: str, row: Row | None) -> NumericStatistics:
    if row is None:  # no train row knows the feature: it is encoded as 0 with its flag set
        return NumericStatistics(name, False, 0.0, 1.0, ())
    is_logged = row["median"] is not None and row["largest"] > HEAVY_TAIL_RATIO * row["median"]
    prefix = "logged_" if is_logged else ""
    edges = set(row["quantiles"] or ()) | ({0.0} if row["has_zero"] else set())
    return NumericStatistics(
        name,
        is_logged,
        row[f"{prefix}mean"],
        row[f"{prefix}deviation"] or 1.0,
        tuple(sorted(_signed_log(e) if is_logged else e for e in edges)),
    )


def _signed_log(x: float) -> float:
    return math.copysign(math.log1p(abs(x)), x)
