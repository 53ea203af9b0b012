"""Compare the arms of an experiment with its control, with always-valid statistics.

The results may be looked at every day, and the experiment may be stopped after any look.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from profile_lib.errors import InputError
from profile_lib.feedback.ratio_moments import Moments, estimate_ratio

Arm = Mapping[str, Moments]  # the moments over the arm's users, by measure

# How close to the planned shares the prior of `mismatch_p_value` expects wrong shares to be: an arm
# planned to get half of the users gets a share within about 1.6 percentage points of that.
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
    for experiments: the measured difference is normal with variance `variance`, and the prior of
    the true difference is normal around 0 with the standard deviation `effect`, which is chosen
    beforehand. It is valid at every look once the arms have enough users (Bibaut et al. 2022).
    Arguments are numbers or arrays of one shape, and so is the result.
    """
    marginal_variance = variance + effect**2
    exponent = effect**2 * difference**2 / (2 * variance * marginal_variance)
    log_ratio = 0.5 * np.log(variance / marginal_variance) + exponent
    return np.exp(-np.maximum(log_ratio, 0.0))


def confidence_half_width(variance: Any, effect: float, alpha: float) -> np.ndarray:
    """Return half the width of the confidence sequence around a difference.

    The sequence holds the true differences that `always_valid_p_value` does not reject at `alpha`.
    With probability 1 - alpha it contains the true difference at all looks.
    """
    marginal_variance = variance + effect**2
    log_ratio = np.log(marginal_variance / (variance * alpha**2))
    return np.sqrt(variance * marginal_variance / effect**2 * log_ratio)


def mismatch_p_value(counts: Any, shares: Any) -> float:
    """Bound the probability of ever seeing counts this far from the planned shares by chance.

    `counts` holds the users of each arm, and `shares` the planned share of each, above 0. The bound
    is one over the likelihood ratio of a Dirichlet mixture of shares to the planned shares (Lindon
    & Malek 2022).
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
    """Compare each arm of the experiment `name` with the control, in each measure of `effects`.

    `effects` holds the smallest difference of interest per measure, and `shares` the planned share
    of users per arm. `alpha` bounds the probability that any comparison of the experiment ever
    finds a difference that does not exist; it is divided among the comparisons (Bonferroni). The
    verdict is `mismatched` if the numbers of users do not fit the shares, so that the arms cannot
    be compared; `early` if an arm has fewer than `min_users` or its users do not differ; `open` if
    no difference is found yet; else `better` or `worse`.

    Raises InputError if `arms` and `shares` do not name the same arms.
    """
    if set(arms) != set(shares):
        raise InputError(
            f"experiment {name}: found users in arms {sorted(arms)}, wanted {sorted(shares)}; fix "
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
    difference = float(value - control_value)
    difference_variance = float(variance + control_variance)
    values = {
        "value": float(value),
        "control_value": float(control_value),
        "difference": difference,
    }
    if min(arm.n, control.n) < min_users or not difference_variance > 0:
        return values | {"low": None, "high": None, "p_value": None, "verdict": "early"}
    p_value = float(always_valid_p_value(difference, difference_variance, effect))
    half_width = float(confidence_half_width(difference_variance, effect, alpha))
    verdict = "open" if p_value > alpha else "better" if difference > 0 else "worse"
    ends = {"low": difference - half_width, "high": difference + half_width}
    return values | ends | {"p_value": p_value, "verdict": verdict}
