"""Estimate ratios of sums over users and their variances, with numpy and Spark.

Variances are over users, because the impressions of one user are not independent.
"""

from typing import NamedTuple

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F


class Moments(NamedTuple):
    """Sums over users that determine the ratio of y to x and its variance.

    They are the sums of x, y and their products. `n` is the number of users with x above 0. All are
    numbers, or arrays of one shape.
    """

    n: np.ndarray
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray


def sum_moments(x: np.ndarray, y: np.ndarray) -> Moments:
    """Sum the moments of `x` and `y`, (…, users), over users.

    A user whose x is 0 must have a y of 0.
    """
    products = (x, y, x * x, x * y, y * y)
    return Moments(np.count_nonzero(x, axis=-1), *(p.sum(axis=-1) for p in products))


def estimate_ratio(sums: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of y divided by the sum of x, and its variance.

    The variance is that of the delta method (Deng, Knoblich & Lu 2018). Both are NaN if no user has
    an x above 0, and the variance also if only one user has.
    """
    n, x, y, xx, xy, yy = (np.asarray(part, np.float64) for part in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = y / x
        residuals = np.maximum(yy - 2 * value * xy + value**2 * xx, 0.0)
        return value, residuals * n / ((n - 1) * x**2)


def moments_column(x: str, y: str) -> Column:
    """Aggregate rows, one per user, to Moments of two columns, a struct."""
    x_value, y_value = F.col(x).cast("double"), F.col(y).cast("double")
    terms = {
        "x": x_value, "y": y_value,
        "xx": x_value * x_value, "xy": x_value * y_value, "yy": y_value * y_value,
    }  # fmt: skip
    n = F.count_if(x_value > 0).cast("double").alias("n")
    return F.struct(n, *(F.sum(term).alias(name) for name, term in terms.items()))


def interval_columns(name: str, z_score: float, upper_bound: float | None = None) -> list[Column]:
    """Return the ratio of `name`, a column of Moments, and the ends of its interval.

    The columns are called `name`, `name`_low and `name`_high. The ends are `z_score` standard
    errors from the ratio, but not below 0 or above `upper_bound`. All are null if no x is above 0,
    and the ends also if users do not differ.
    """
    n, x, y, xx, xy, yy = (F.col(f"{name}.{part}") for part in Moments._fields)
    value = F.try_divide(y, x)
    residuals = F.greatest(yy - 2 * value * xy + value * value * xx, F.lit(0.0))
    variance = F.try_divide(residuals * n, (n - 1) * x * x)
    half_width = z_score * F.sqrt(F.when(variance > 0, variance))
    low, high = F.greatest(value - half_width, F.lit(0.0)), value + half_width
    if upper_bound is not None:
        high = F.least(high, F.lit(upper_bound))
    has_interval = half_width.isNotNull()  # greatest and least would ignore the null
    return [
        value.alias(name),
        F.when(has_interval, low).alias(f"{name}_low"),
        F.when(has_interval, high).alias(f"{name}_high"),
    ]
