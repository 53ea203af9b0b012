"""What a logged policy showed and earned in, what another one would have earned out: numpy only.

A round is an item in a slot of a list. Slots are taken one by one: what an item earns in a slot may
depend on user, item and slot, not on the items in the other slots (the item-position model of
Li et al. 2018).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from profile_lib.arrays.types import Floats, Integers
from profile_lib.errors import InputError
from profile_lib.feedback.ratio_moments import estimate_ratio, sum_moments


@dataclass(frozen=True)
class Rounds:
    """What was logged of n rounds, and the new policy's part of them; all (n,).

    `user`: whose rounds they are; `reward`: clicks, revenue, …; `propensity`: the probability with
    which the logging policy showed this item in this slot; `target_propensity`: that of the new policy.
    """

    user: Integers
    reward: Floats
    propensity: Floats
    target_propensity: Floats


@dataclass(frozen=True)
class RewardPredictions:
    """What a model expects of the same n rounds; it must not have been fitted on their users.

    `logged_reward`: of the item that was shown, (n,); `target_reward`: of the items that the new policy might
    show in the slot, weighted by its probabilities, (n,).
    """

    logged_reward: Floats
    target_reward: Floats


@dataclass(frozen=True)
class Estimate:
    """The new policy's mean reward a round, and an interval by users."""

    value: float
    low: float
    high: float


def policy_value(
    rounds: Rounds,
    model: RewardPredictions | None = None,
    *,
    max_weight: float,
    min_overlap: float,
    min_effective_sample_size: float,
    confidence_level: float,
) -> dict[str, Estimate]:
    """The new policy's value by each estimator, from the logged one's rounds.

    `ips` (Horvitz & Thompson 1952), unbiased; `snips`, self-normalised (Swaminathan & Joachims
    2015); `clipped` at `max_weight`, less noise for a bias towards nothing (Ionides 2008); with a
    reward model `dr`, doubly robust (Dudík et al. 2011): unbiased where propensities or model are
    right, and less noisy the better the model. Raises InputError where a probability is none,
    where the log does not say enough (`importance_weights`), or where the model has no answer.
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
    if model is not None:
        _raise_if_any(
            "the reward model", "no number", ~np.isfinite(model.logged_reward + model.target_reward)
        )
        sums["dr"] = (model.target_reward + weight * (reward - model.logged_reward), one)
    normal = NormalDist().inv_cdf((1 + confidence_level) / 2)
    return {name: _estimate(rounds.user, *parts, normal) for name, parts in sums.items()}


def importance_weights(
    rounds: Rounds, *, min_overlap: float, min_effective_sample_size: float
) -> Floats:
    """The rounds' importance weights: the new policy's probability by the logging one's.

    Raises InputError where a probability is missing or none that can be; where the mean weight,
    which is 1 but for chance, is below `min_overlap`, for then the new policy shows what the log
    never does, or above its inverse, for then these are not the log's propensities; and where the
    weights leave less than `min_effective_sample_size` rounds' worth (Kish's effective sample size).
    """
    p, q = rounds.propensity, rounds.target_propensity
    _raise_if_any("propensity", "not above 0 and up to 1", ~((p > 0) & (p <= 1)))  # nor is NaN
    _raise_if_any("target_propensity", "not from 0 to 1", ~((q >= 0) & (q <= 1)))
    _raise_if_any("reward", "no number", ~np.isfinite(rounds.reward))
    weight = q / p
    overlap = float(weight.mean()) if len(weight) else 0.0
    if not min_overlap <= overlap <= 1 / min_overlap:
        raise InputError(
            f"policy: the mean weight is {overlap:.3f}, wanted {min_overlap} to "
            f"{1 / min_overlap:.3f}: the new policy shows what the logged one could not, or the "
            "propensities are not the log's; log with more exploration, or a policy nearer to it"
        )
    if (sample := effective_sample_size(weight)) < min_effective_sample_size:
        raise InputError(
            f"policy: {len(weight):,} rounds are worth {sample:,.0f} of the new policy's, wanted "
            f"{min_effective_sample_size:,.0f}; log more of them, or a policy nearer to it"
        )
    return weight


def effective_sample_size(weight: Floats) -> float:
    """Of how many rounds of equal weight a mean would be as noisy (Kish 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def _raise_if_any(quantity: str, problem: str, is_invalid: np.ndarray) -> None:
    if n := int(is_invalid.sum()):
        raise InputError(
            f"policy: {quantity} is {problem} in {n:,} of {len(is_invalid):,} rounds; leave these out, if it "
            "is known why they are so"
        )


def _estimate(user: Integers, numerator: Floats, denominator: Floats, z_score: float) -> Estimate:
    _, place = np.unique(user, return_inverse=True)
    value, variance = estimate_ratio(
        sum_moments(np.bincount(place, denominator), np.bincount(place, numerator))
    )
    away = z_score * np.sqrt(variance)
    return Estimate(float(value), float(value - away), float(value + away))
