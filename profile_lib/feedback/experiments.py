"""What the users of an experiment's arms did in, what may be said of the arms out.

The readout holds at every look alike: one may look each day and stop at any of them. Numpy only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from profile_lib.errors import InputError
from profile_lib.feedback.ratio_moments import Moments, estimate_ratio

Arm = Mapping[str, Moments]  # measure → its moments over the arm's users

# How sure it is beforehand that wrong shares are near the right ones: an arm that is to get half of
# the users is thought to get it within 1.6 points or so.
DIRICHLET_CONCENTRATION = 1_000


@dataclass(frozen=True)
class Readout:
    """A measure of an arm beside the control's; `experiment_readouts` tells what columns mean."""

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
    """The probability of ever seeing such evidence against no difference, were there none.

    One over the mixture likelihood ratio of Robbins (1970), as Johari et al. (2017) use it for
    experiments: the difference is normal with this estimated variance, and a true one, were there
    any, normal around 0 with standard deviation `effect`, chosen beforehand. Valid at every look
    once the arms have users enough for that (Bibaut et al. 2022).
    """
    total = variance + effect**2
    log_ratio = 0.5 * np.log(variance / total) + effect**2 * difference**2 / (2 * variance * total)
    return np.exp(-np.maximum(log_ratio, 0.0))


def confidence_half_width(variance: Any, effect: float, alpha: float) -> np.ndarray:
    """Half of the confidence sequence: the differences whose `always_valid_p_value` is above `alpha`.

    It holds the true one at all looks together with probability 1 - alpha.
    """
    total = variance + effect**2
    return np.sqrt(variance * total / effect**2 * np.log(total / (variance * alpha**2)))


def mismatch_p_value(counts: Any, shares: Any) -> float:
    """The probability of ever seeing arms so far from their shares of users, were these kept.

    One over the ratio of a Dirichlet mixture of shares to the shares wanted (Lindon & Malek 2022).
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
    """Each measure in `effects`, the least difference of interest, of each arm beside the control.

    `alpha` bounds the probability that any comparison of the experiment ever finds what is not
    there: it is divided among them (Bonferroni). Verdicts: mismatched, where users are not in the
    arms by their shares, for then arms cannot be compared; early, below `min_users` an arm, or
    where users do not differ; open, better or worse. Raises InputError where the arms are not
    those that have shares.
    """
    if set(arms) != set(shares):
        raise InputError(
            f"experiment {name}: users in arms {sorted(arms)}, wanted in {sorted(shares)}; mend "
            "feedback.experiments, or what assigns the users"
        )
    n = {arm: int(next(iter(arms[arm].values())).n) for arm in shares}
    mismatch = mismatch_p_value(list(n.values()), list(shares.values()))
    others = sorted(set(shares) - {control})
    told = []
    for arm in others:
        for measure, effect in effects.items():
            both, each = (arms[arm][measure], arms[control][measure]), alpha / len(effects)
            found = _compare_measure(*both, effect, each / len(others), min_users)
            if mismatch <= mismatch_alpha:
                found["verdict"] = "mismatched"
            told.append(
                Readout(arm, measure, n[arm], n[control], mismatch_p_value=mismatch, **found)
            )
    return told


def _compare_measure(
    arm: Moments, control: Moments, effect: float, alpha: float, min_users: int
) -> dict[str, Any]:
    (value, variance), (base, variance_of_base) = estimate_ratio(arm), estimate_ratio(control)
    difference, total = float(value - base), float(variance + variance_of_base)
    found = {"value": float(value), "control_value": float(base), "difference": difference}
    if min(arm.n, control.n) < min_users or not total > 0:
        return found | {"low": None, "high": None, "p_value": None, "verdict": "early"}
    p_value = float(always_valid_p_value(difference, total, effect))
    away = float(confidence_half_width(total, effect, alpha))
    verdict = "open" if p_value > alpha else "better" if difference > 0 else "worse"
    ends = {"low": difference - away, "high": difference + away}
    return found | ends | {"p_value": p_value, "verdict": verdict}
