"""Compare the arms of an experiment with its control, validly at every look.

One may look each day and stop at any look. Uses numpy only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from profile_lib.errors import InputError
from profile_lib.feedback.ratio_moments import Moments, estimate_ratio

Arm = Mapping[str, Moments]  # the moments over the arm's users, by measure

# How strongly the prior of `mismatch_p_value` keeps wrong shares near the right ones: an arm meant
# to get half of the users is expected to get it within about 1.6 percentage points.
DIRICHLET_CONCENTRATION = 1_000


@dataclass(frozen=True)
class Readout:
    """One measure of an arm compared with the control; a row of `experiment_readouts`."""

    variant: str
    measure: str
    n_users: int
    n_control: int
    value: float
    control_value: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    mismatch_p_value: float
    verdict: str


def always_valid_p_value(difference: Any, variance: Any, effect: float) -> np.ndarray:
    """Bound the probability of ever seeing this much evidence if there is no difference.

    It is one over the mixture likelihood ratio of Robbins (1970), as Johari et al. (2017) use it
    for experiments: the difference is normal with the estimated variance, and a true difference is
    normal around 0 with the standard deviation `effect`, which is chosen beforehand. It is valid at
    every look once the arms have enough users (Bibaut et al. 2022).
    """
    total = variance + effect**2
    log_ratio = 0.5 * np.log(variance / total) + effect**2 * difference**2 / (2 * variance * total)
    return np.exp(-np.maximum(log_ratio, 0.0))


def confidence_half_width(variance: Any, effect: float, alpha: float) -> np.ndarray:
    """Return half the width of the confidence sequence around a difference.

    The sequence holds the differences whose `always_valid_p_value` is above `alpha`. With
    probability 1 - alpha it contains the true difference at all looks.
    """
    total = variance + effect**2
    return np.sqrt(variance * total / effect**2 * np.log(total / (variance * alpha**2)))


def mismatch_p_value(counts: Any, shares: Any) -> float:
    """Bound the probability of ever seeing users this far from the arms' shares by chance.

    It is one over the likelihood ratio of a Dirichlet mixture of shares to the wanted shares
    (Lindon & Malek 2022).
    """
    log_ratio = math.lgamma(DIRICHLET_CONCENTRATION) - math.lgamma(
        DIRICHLET_CONCENTRATION + sum(counts)
    )
    for count, share in zip(counts, shares, strict=True):
        prior = DIRICHLET_CONCENTRATION * share
        log_ratio += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return math.exp(-max(log_ratio, 0.0))


def compare_arms(
    name: str,
    arms: Mapping[str, Arm],
    *,
    control: str,
    shares: Mapping[str, float],
    effects: Mapping[str, float],
    alpha: float,
    mismatch_alpha: float,
    min_users: int,
) -> list[Readout]:
    """Compare each arm with the control in each measure of `effects`.

    `effects` holds the smallest difference of interest per measure. `alpha` bounds the probability
    that any comparison of the experiment ever finds a difference that does not exist; it is divided
    among the comparisons (Bonferroni). Verdicts are `mismatched` if the users do not follow the
    shares, so that arms cannot be compared; `early` if an arm has fewer than `min_users` or its
    users do not differ; else `open`, `better` or `worse`.

    Raises InputError if the arms are not those with shares.
    """
    if set(arms) != set(shares):
        raise InputError(
            f"experiment {name}: users in arms {sorted(arms)}, wanted in {sorted(shares)}; fix "
            "feedback.experiments, or the assignment of users"
        )
    n_users = {arm: int(next(iter(arms[arm].values())).n) for arm in shares}
    mismatch = mismatch_p_value(list(n_users.values()), list(shares.values()))
    variants = sorted(set(shares) - {control})
    alpha_each = alpha / len(effects) / len(variants)
    readouts = []
    for variant in variants:
        for measure, effect in effects.items():
            comparison = _compare_measure(
                arms[variant][measure], arms[control][measure], effect, alpha_each, min_users
            )
            if mismatch <= mismatch_alpha:
                comparison["verdict"] = "mismatched"
            readouts.append(
                Readout(
                    variant,
                    measure,
                    n_users[variant],
                    n_users[control],
                    mismatch_p_value=mismatch,
                    **comparison,
                )
            )
    return readouts


def _compare_measure(
    arm: Moments, control: Moments, effect: float, alpha: float, min_users: int
) -> dict[str, Any]:
    (value, variance), (control_value, control_variance) = map(estimate_ratio, (arm, control))
    difference, total = float(value - control_value), float(variance + control_variance)
    values = {
        "value": float(value),
        "control_value": float(control_value),
        "difference": difference,
    }
    if min(arm.n, control.n) < min_users or not total > 0:
        return values | {"low": None, "high": None, "p_value": None, "verdict": "early"}
    p_value = float(always_valid_p_value(difference, total, effect))
    half_width = float(confidence_half_width(total, effect, alpha))
    verdict = "open" if p_value > alpha else "better" if difference > 0 else "worse"
    ends = {"low": difference - half_width, "high": difference + half_width}
    return values | ends | {"p_value": p_value, "verdict": verdict}
