"""Sums over users in, ratios of sums and their variances out: on arrays and as Spark columns.

Users are the unit: what one user does in several lists is not independent.
"""

from typing import NamedTuple

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F


class Moments(NamedTuple):
    """Of `n` users with x above 0 the sums of x, y and their products: numbers, or arrays alike."""

    n: np.ndarray
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray


def sum_moments(x: np.ndarray, y: np.ndarray) -> Moments:
    """Of arrays (…, users); a user whose x is 0 has y 0 too, and counts for nothing."""
    products = (x, y, x * x, x * y, y * y)
    return Moments(np.count_nonzero(x, axis=-1), *(p.sum(axis=-1) for p in products))


def estimate_ratio(sums: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Sum of y by sum of x, and its variance, by the delta method (Deng, Knoblich & Lu 2018).

    NaN where no x is above 0; the variance also where fewer than two users' are.
    """
    n, x, y, xx, xy, yy = (np.asarray(part, np.float64) for part in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = y / x
        residuals = np.maximum(yy - 2 * value * xy + value**2 * xx, 0.0)
        return value, residuals * n / ((n - 1) * x**2)


def moments_column(x: str, y: str) -> Column:
    """A struct of Moments over rows of one user each, an aggregate."""
    a, b = F.col(x).cast("double"), F.col(y).cast("double")
    sums = {"x": a, "y": b, "xx": a * a, "xy": a * b, "yy": b * b}
    n = F.count_if(a > 0).cast("double").alias("n")
    return F.struct(n, *(F.sum(part).alias(name) for name, part in sums.items()))


def interval_columns(name: str, z_score: float, upper_bound: float | None = None) -> list[Column]:
    """`name`, a column of Moments, as their ratio, and `_low` and `_high`: `z_score` standard errors
    away, within 0 and `upper_bound`. Null where nothing can be told, the ends also where users are alike.
    """
    n, x, y, xx, xy, yy = (F.col(f"{name}.{part}") for part in Moments._fields)
    value = F.try_divide(y, x)
    residuals = F.greatest(yy - 2 * value * xy + value * value * xx, F.lit(0.0))
    variance = F.try_divide(residuals * n, (n - 1) * x * x)
    away = z_score * F.sqrt(F.when(variance > 0, variance))
    low, high = F.greatest(value - away, F.lit(0.0)), value + away
    if upper_bound is not None:
        high = F.least(high, F.lit(upper_bound))
    is_told = away.isNotNull()  # greatest and least pass over nulls
    return [
        value.alias(name),
        F.when(is_told, low).alias(f"{name}_low"),
        F.when(is_told, high).alias(f"{name}_high"),
    ]
