"""Estimate the reward of a new policy from the rounds that another policy logged.

A round is an item shown in one slot of a list. The reward of an item in a slot may depend on user,
item and slot, but not on the items in other slots (the item-position model of Li et al. 2018).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from profile_lib.arrays.types import Floats, Integers
from profile_lib.errors import InputError
from profile_lib.feedback.ratio_moments import estimate_ratio, sum_moments


@dataclass(frozen=True)
class Rounds:
    """Logged rounds; all arrays have shape (n,)."""

    user: Integers
    reward: Floats  # clicks, revenue or another reward
    propensity: Floats  # probability that the logging policy shows this item in this slot
    target_propensity: Floats  # probability that the new policy does


@dataclass(frozen=True)
class RewardPredictions:
    """Rewards that a model predicts for the same rounds; both arrays have shape (n,).

    The model must not be fitted on the users of these rounds.
    """

    logged_reward: Floats  # of the item that was shown
    target_reward: Floats  # expected over the items that the new policy may show in the slot


@dataclass(frozen=True)
class Estimate:
    """The new policy's mean reward per round, with a confidence interval over users."""

    value: float
    low: float
    high: float


def policy_value(
    rounds: Rounds,
    predictions: RewardPredictions | None = None,
    *,
    max_weight: float,
    min_overlap: float,
    min_effective_sample_size: float,
    confidence_level: float,
) -> dict[str, Estimate]:
    """Estimate the new policy's mean reward per round by each estimator.

    `ips` (Horvitz & Thompson 1952) is unbiased. `snips` is self-normalised (Swaminathan & Joachims
    2015). `clipped` limits weights to `max_weight`, which lowers the variance and adds a bias
    towards 0 (Ionides 2008). With reward predictions there is also `dr`, the doubly robust
    estimator (Dudík et al. 2011): it is unbiased if the propensities or the predictions are right,
    and its variance falls with better predictions.

    Raises InputError as `importance_weights` does, or if a prediction is not a number.
    """
    weight = importance_weights(
        rounds, min_overlap=min_overlap, min_effective_sample_size=min_effective_sample_size
    )
    reward, one = rounds.reward, np.ones(len(weight))
    sums = {
        "ips": (weight * reward, one),
        "snips": (weight * reward, weight),
        "clipped": (np.minimum(weight, max_weight) * reward, one),
    }
    if predictions is not None:
        logged, target = predictions.logged_reward, predictions.target_reward
        _raise_if_any("the predicted reward", "not a number", ~np.isfinite(logged + target))
        sums["dr"] = (target + weight * (reward - logged), one)
    z_score = NormalDist().inv_cdf((1 + confidence_level) / 2)
    return {name: _estimate(rounds.user, *parts, z_score) for name, parts in sums.items()}


def importance_weights(
    rounds: Rounds, *, min_overlap: float, min_effective_sample_size: float
) -> Floats:
    """Return the new policy's probability divided by the logging policy's, (n,).

    Raises InputError if a probability or reward is missing or invalid, or if the log does not show
    enough of the new policy. The expected weight is 1. A mean weight below `min_overlap` means that
    the new policy shows items that the logging policy never does; one above its inverse, that the
    propensities are not those of the log. The effective sample size must be at least
    `min_effective_sample_size` rounds.
    """
    p, q = rounds.propensity, rounds.target_propensity
    _raise_if_any("propensity", "not above 0 and at most 1", ~((p > 0) & (p <= 1)))  # true for NaN
    _raise_if_any("target_propensity", "not from 0 to 1", ~((q >= 0) & (q <= 1)))
    _raise_if_any("reward", "not a number", ~np.isfinite(rounds.reward))
    weight = q / p
    overlap = float(weight.mean()) if len(weight) else 0.0
    if not min_overlap <= overlap <= 1 / min_overlap:
        raise InputError(
            f"policy: the mean weight is {overlap:.3f}, wanted {min_overlap} to "
            f"{1 / min_overlap:.3f}: the new policy shows items that the logging policy never "
            "shows, or the propensities are not those of the log; log with more exploration, or "
            "with a policy closer to the new one"
        )
    if (sample_size := effective_sample_size(weight)) < min_effective_sample_size:
        raise InputError(
            f"policy: {len(weight):,} rounds have an effective sample size of {sample_size:,.0f} "
            f"for the new policy, wanted at least {min_effective_sample_size:,.0f}; log more "
            "rounds, or with a policy closer to the new one"
        )
    return weight


def effective_sample_size(weight: Floats) -> float:
    """Return the number of equally weighted rounds with the same variance (Kish 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def _raise_if_any(quantity: str, problem: str, is_invalid: np.ndarray) -> None:
    if n := int(is_invalid.sum()):
        raise InputError(
            f"policy: {quantity} is {problem} in {n:,} of {len(is_invalid):,} rounds; fix these "
            "rounds, or leave them out if the reason is known"
        )


def _estimate(user: Integers, numerator: Floats, denominator: Floats, z_score: float) -> Estimate:
    _, user_code = np.unique(user, return_inverse=True)
    value, variance = estimate_ratio(
        sum_moments(np.bincount(user_code, denominator), np.bincount(user_code, numerator))
    )
    half_width = z_score * np.sqrt(variance)
    return Estimate(float(value), float(value - half_width), float(value + half_width))
