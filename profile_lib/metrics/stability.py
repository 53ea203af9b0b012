"""Measure how far a distribution has moved from an earlier one."""

import numpy as np
from numpy.typing import ArrayLike

MIN_SHARE = 1e-4  # smaller shares count as this one, because the logarithm of zero is infinite


def stability_terms(earlier: ArrayLike, later: ArrayLike) -> np.ndarray:
    """Return what each value adds to the population stability index (PSI).

    `earlier` and `later` hold the shares of the same values in two distributions, 0 to 1. A term is
    (later - earlier) * ln(later / earlier), never below 0; the index is the sum of all terms.
    """
    before, after = (np.maximum(np.asarray(x, dtype=float), MIN_SHARE) for x in (earlier, later))
    return (after - before) * np.log(after / before)


def population_stability_index(earlier: ArrayLike, later: ArrayLike) -> float:
    """Return the population stability index (PSI) of two distributions, 0 if they are equal.

    The parameters are those of `stability_terms`. By convention an index below 0.1 means little or
    no change, and one above 0.25 a large one (N. Siddiqi, Credit Risk Scorecards, Wiley 2006).
    Samples of n and m rows from one distribution of k values have an index of about
    (k - 1) * (1 / n + 1 / m) (B. Yurdakul, Statistical Properties of Population Stability Index,
    Western Michigan University 2018).

    >>> round(population_stability_index([0.5, 0.5], [0.8, 0.2]), 4)
    0.4159
    """
    return float(stability_terms(earlier, later).sum())
