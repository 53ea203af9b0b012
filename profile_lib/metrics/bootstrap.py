"""Compute confidence intervals by resampling users."""

from collections.abc import Iterator, Sequence

import numpy as np

from profile_lib.arrays.types import Floats, Integers


def bootstrap_weights(users: Integers, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield the weight of each row, (n,), in each resample of the users.

    `users` holds the user of each row, (n,). All rows of a user get the same weight, a Poisson
    number of mean 1: the bootstrap of Hanley and MacGibbon (2006), which needs no resample of an
    exact size.
    """
    _, user_number = np.unique(users, return_inverse=True)
    n_users = int(user_number.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield rng.poisson(1.0, n_users)[user_number].astype(np.float64)


def percentile_interval(
    values: Sequence[float | None], confidence_level: float = 0.95
) -> list[float] | None:
    """Return the interval [low, high] of the middle `confidence_level` of the values.

    Values of None are left out. Returns None if no value is left.

    >>> percentile_interval([0.0, None, 1.0, 2.0], confidence_level=0.5)
    [0.5, 1.5]
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = np.quantile(known, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return [float(low), float(high)]


def paired_bootstrap_interval(
    values: Floats, baseline: Floats, n_resamples: int, seed: int
) -> list[float] | None:
    """Return the 95 % interval of the mean of `values` - `baseline`.

    Both have shape (users,). Returns None if there is no user.
    """
    difference = values - baseline
    weights = bootstrap_weights(np.arange(len(difference)), n_resamples, seed)
    return percentile_interval(
        [float(np.average(difference, weights=w)) for w in weights if w.any()]
    )
