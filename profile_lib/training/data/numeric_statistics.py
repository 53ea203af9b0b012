"""The train snapshot in, the statistics of its numeric features out: Spark aggregates only."""

import math
from collections.abc import Sequence

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.model.numeric_encoder import NumericStatistics

HEAVY_TAIL_RATIO = (
    10.0  # heavy-tailed: the largest size is beyond so many times the median of those not 0
)


def compute_numeric_statistics(
    train: DataFrame, names: Sequence[str], bins: int
) -> list[NumericStatistics]:
    """Of each position of `numeric`: mean and deviation, and bin edges at approximate quantiles.

    The quantiles are of the values other than 0, and 0 is an edge of its own: most counts are 0
    most of the time, which would leave no edge for the others. One pass, a row a feature back.
    """
    x = F.col("x").cast("double")
    rest = F.when(x != 0, x)
    logged = F.signum(x) * F.log1p(F.abs(x))
    levels = [i / bins for i in range(bins + 1)]
    found = (
        train.select(F.posexplode("numeric").alias("at", "x"))
        .where(~F.isnan("x") & F.col("x").isNotNull())
        .groupBy("at")
        .agg(
            F.avg(x).alias("mean"),
            F.stddev_pop(x).alias("deviation"),
            F.avg(logged).alias("logged_mean"),
            F.stddev_pop(logged).alias("logged_deviation"),
            F.max(F.abs(x)).alias("largest"),
            F.percentile_approx(F.abs(rest), 0.5).alias("median"),
            F.percentile_approx(rest, levels).alias("quantiles"),
            F.max((x == 0).cast("int")).alias("has_zero"),
        )
    )
    rows = {row["at"]: row for row in found.collect()}
    return [_statistics(name, rows.get(at)) for at, name in enumerate(names)]


def _statistics(name: str, row: Row | None) -> NumericStatistics:
    if row is None:  # never known: always 0 with the flag of the unknown
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
