"""Check that readouts are valid at every look, and find true differences."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from profile_lib.errors import InputError
from profile_lib.feedback.experiments import (
    always_valid_p_value,
    compare_arms,
    confidence_half_width,
    mismatch_p_value,
)
from profile_lib.feedback.ratio_moments import estimate_ratio, sum_moments

ALPHA, DAYS, USERS_PER_DAY, SIMULATIONS = 0.05, 10, 25, 400
CTR_EFFECT, REVENUE_EFFECT = 0.02, 5.0


def simulate_days(rng, lift=1.0):
    """Simulate the impressions, clicks and payments of an arm's users up to each day.

    Each day has shape (3, simulations, users). Users return, and each has a taste of their own.
    """
    shape = (SIMULATIONS, DAYS * USERS_PER_DAY)
    taste = rng.beta(2, 30, shape) * lift
    first_day = np.repeat(np.arange(DAYS), USERS_PER_DAY)

    def simulate_day(day):
        comes = (first_day == day) | ((first_day < day) & (rng.random(shape) < 0.3))
        shown = np.where(comes, 1 + rng.poisson(6, shape), 0)
        clicked = rng.binomial(shown, taste)
        paid = rng.binomial(clicked, 0.2) * rng.lognormal(3, 1, shape)
        return np.array([shown, clicked, paid])

    return accumulate(simulate_day(day) for day in range(DAYS))


def simulate_looks(lift):
    """Difference and variance at each day's look, of CTR and of revenue: (days, 2, 2, n)."""
    rng = np.random.default_rng(2)
    looks = []
    for arm_sums, control_sums in zip(simulate_days(rng, lift), simulate_days(rng), strict=True):
        ratios = [
            [
                estimate_ratio(sum_moments(shown, clicked)),
                estimate_ratio(sum_moments((shown > 0) * 1.0, paid)),
            ]
            for shown, clicked, paid in (arm_sums, control_sums)
        ]
        (a, b) = np.array(ratios)  # (measure, value or variance, simulations)
        looks.append(np.stack([a[:, 0] - b[:, 0], a[:, 1] + b[:, 1]], axis=1))
    return np.array(looks)[2:]  # after a burn-in


@pytest.fixture(scope="module")
def without_difference():
    return simulate_looks(lift=1.0)


@pytest.mark.parametrize(("measure", "effect"), [(0, CTR_EFFECT), (1, REVENUE_EFFECT)])
def test_daily_looks_find_a_false_difference_in_at_most_alpha_of_the_experiments(
    without_difference, measure, effect
):
    difference, variance = without_difference[:, measure].swapaxes(0, 1)
    is_found = always_valid_p_value(difference, variance, effect) <= ALPHA
    is_naively_found = 2 * stats.norm.sf(np.abs(difference) / np.sqrt(variance)) <= ALPHA
    assert is_found.any(axis=0).mean() <= ALPHA
    assert is_naively_found.any(axis=0).mean() > 3 * ALPHA
    assert is_naively_found[-1].mean() == pytest.approx(
        ALPHA, abs=0.025
    )  # so the variance is right


def test_a_true_difference_is_found_and_covered():
    difference, variance = simulate_looks(lift=1.6)[:, 0].swapaxes(0, 1)
    is_found = always_valid_p_value(difference, variance, CTR_EFFECT) <= ALPHA
    assert is_found.any(axis=0).mean() > 0.8
    half_width = confidence_half_width(variance, CTR_EFFECT, ALPHA)
    true_difference = 0.6 * 2 / 32
    assert (np.abs(difference - true_difference) <= half_width).all(axis=0).mean() >= 1 - ALPHA


@settings(deadline=None)
@given(st.floats(-5, 5), st.floats(1e-6, 10), st.floats(0.01, 10))
def test_the_confidence_sequence_excludes_zero_if_the_p_value_is_below_alpha(
    difference, variance, effect
):
    half_width = float(confidence_half_width(variance, effect, ALPHA))
    if abs(abs(difference) - half_width) > 1e-6 * half_width:
        p = float(always_valid_p_value(difference, variance, effect))
        assert (p < ALPHA) == (abs(difference) > half_width)
        assert 0 <= p <= 1


def test_the_p_value_is_one_over_the_ratio_of_two_densities():
    mixed = stats.norm.pdf(0.3, 0, np.sqrt(0.01 + 0.04)) / stats.norm.pdf(0.3, 0, 0.1)
    assert always_valid_p_value(0.3, 0.01, 0.2) == pytest.approx(1 / mixed)


def test_a_mismatch_is_found_for_wrong_shares_and_rarely_for_right_ones():
    rng = np.random.default_rng(4)
    shares = [0.5, 0.3, 0.2]

    def share_with_mismatch(true_shares):
        counts = rng.multinomial(100, true_shares, (100, 30)).cumsum(axis=1)
        return np.mean(
            [min(mismatch_p_value(c, shares) for c in looks) <= 0.05 for looks in counts]
        )

    assert share_with_mismatch(shares) <= 0.05
    assert share_with_mismatch([0.45, 0.35, 0.2]) > 0.95


def arm(n, rate, price=1.0):
    """An arm of n users with ten impressions each; every click pays the price."""
    clicked = np.random.default_rng(n).binomial(10, rate, n).astype(float)
    shown = np.full(n, 10.0)
    return {"ctr": sum_moments(shown, clicked), "revenue": sum_moments(np.ones(n), clicked * price)}


def compare(arms, shares=None, **changes):
    options = {
        "control": "a",
        "shares": shares or {"a": 0.5, "b": 0.5},
        "effects": {"ctr": 0.02, "revenue": 0.2},
        "alpha": ALPHA,
        "mismatch_alpha": 0.001,
        "min_users": 500,
    }
    return compare_arms("ranker", arms, **options | changes)


def verdicts(readouts):
    return {(r.variant, r.measure): r.verdict for r in readouts}


def test_each_arm_is_better_worse_or_open_compared_with_the_control():
    arms = {"a": arm(2000, 0.1), "b": arm(2000, 0.13, 0.5), "c": arm(2001, 0.1)}
    readouts = compare(arms, shares={"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    assert verdicts(readouts) == {
        ("b", "ctr"): "better",
        ("b", "revenue"): "worse",
        ("c", "ctr"): "open",
        ("c", "revenue"): "open",
    }
    first = readouts[0]
    assert (first.n_users, first.n_control) == (2000, 2000)
    assert first.difference == pytest.approx(first.value - first.control_value)
    assert first.low < 0.03 < first.high
    width = confidence_half_width(
        sum(estimate_ratio(arms[x]["ctr"])[1] for x in "ab"), 0.02, ALPHA / 4
    )
    assert first.high - first.low == pytest.approx(2 * width)  # one of four comparisons


def test_arms_with_too_few_users_are_early():
    readouts = compare({"a": arm(499, 0.1), "b": arm(520, 0.5)})
    assert {r.verdict for r in readouts} == {"early"}
    assert {(r.low, r.high, r.p_value) for r in readouts} == {(None, None, None)}


def test_arms_whose_users_do_not_differ_are_early():
    readouts = compare({"a": arm(600, 0.0), "b": arm(600, 0.0)})
    assert {r.verdict for r in readouts} == {"early"}


def test_arms_with_wrong_shares_are_mismatched():
    readouts = compare({"a": arm(2000, 0.1), "b": arm(1500, 0.2)})
    assert {r.verdict for r in readouts} == {"mismatched"}


@pytest.mark.parametrize("arms", [{"a"}, {"a", "b", "c"}, set()])
def test_an_arm_without_users_or_without_a_share_is_refused(arms):
    with pytest.raises(InputError, match=r"found users in arms \[.*\], wanted \['a', 'b'\]"):
        compare({name: arm(600, 0.1) for name in arms})
