"""Estimate what another policy would have earned from a logged policy's rounds.

A round is an item in one slot of a list. Slots are judged one by one: the reward of an item in a
slot may depend on user, item and slot, but not on the items in other slots (the item-position model
of Li et al. 2018). Uses numpy only.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from profile_lib.arrays.types import Floats, Integers
from profile_lib.errors import InputError
from profile_lib.feedback.ratio_moments import estimate_ratio, sum_moments


@dataclass(frozen=True)
class Rounds:
    """Logged rounds; all arrays have shape (n,).

    `user`: whose rounds they are; `reward`: clicks, revenue or another reward; `propensity`: the
    probability that the logging policy shows this item in this slot; `target_propensity`: that of
    the new policy.
    """

    user: Integers
    reward: Floats
    propensity: Floats
    target_propensity: Floats


@dataclass(frozen=True)
class RewardPredictions:
    """Rewards that a model predicts for the same rounds.

    The model must not be fitted on the users of these rounds.

    `logged_reward`: of the item that was shown, (n,); `target_reward`: the mean over the items that
    the new policy may show in the slot, by its probabilities, (n,).
    """

    logged_reward: Floats
    target_reward: Floats


@dataclass(frozen=True)
class Estimate:
    """The new policy's mean reward per round, with an interval over users."""

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
    """Estimate the new policy's value by each estimator.

    `ips` (Horvitz & Thompson 1952) is unbiased; `snips` is self-normalised (Swaminathan & Joachims
    2015); `clipped` limits weights to `max_weight`, which trades noise for a bias towards 0
    (Ionides 2008). With reward predictions `dr` is doubly robust (Dudík et al. 2011): unbiased if
    the propensities or the predictions are right, and less noisy the better the predictions.

    Raises InputError if a probability is invalid, if the log says too little about the new policy
    (`importance_weights`), or if a prediction is missing.
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
    """Return the new policy's probability over the logging policy's, per round.

    Raises InputError if a probability is missing or invalid, and if the log says too little. The
    mean weight is 1 except for chance: below `min_overlap` the new policy shows what the log never
    does, and above its inverse the propensities are not the log's. The weights must leave an
    effective sample size of `min_effective_sample_size` rounds (Kish 1965).
    """
    p, q = rounds.propensity, rounds.target_propensity
    _raise_if_any("propensity", "not above 0 and up to 1", ~((p > 0) & (p <= 1)))  # true for NaN
    _raise_if_any("target_propensity", "not from 0 to 1", ~((q >= 0) & (q <= 1)))
    _raise_if_any("reward", "not a number", ~np.isfinite(rounds.reward))
    weight = q / p
    overlap = float(weight.mean()) if len(weight) else 0.0
    if not min_overlap <= overlap <= 1 / min_overlap:
        raise InputError(
            f"policy: the mean weight is {overlap:.3f}, wanted {min_overlap} to "
            f"{1 / min_overlap:.3f}: the new policy shows what the logged one could not, or the "
            "propensities are not the log's; log with more exploration, or a policy nearer to it"
        )
    if (sample_size := effective_sample_size(weight)) < min_effective_sample_size:
        raise InputError(
            f"policy: {len(weight):,} rounds carry the information of {sample_size:,.0f} of the "
            f"new policy's, wanted {min_effective_sample_size:,.0f}; log more rounds, or a policy "
            "nearer to it"
        )
    return weight


def effective_sample_size(weight: Floats) -> float:
    """Return how many rounds of equal weight would give an equally noisy mean (Kish 1965)."""
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
