"""An experiment's readout holds at every look, and finds what is there."""

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

ALPHA, DAYS, A_DAY, SIMULATIONS = 0.05, 10, 25, 400
CTR_EFFECT, REVENUE_EFFECT = 0.02, 5.0


def days_of(rng, lift=1.0):
    """What each user of an arm has seen, clicked and paid until the end of each day, (simulations,
    users): users keep coming back, and each has a taste of their own."""
    shape = (SIMULATIONS, DAYS * A_DAY)
    taste, first = rng.beta(2, 30, shape) * lift, np.repeat(np.arange(DAYS), A_DAY)

    def day(number):
        here = (first == number) | ((first < number) & (rng.random(shape) < 0.3))
        shown = np.where(here, 1 + rng.poisson(6, shape), 0)
        clicked = rng.binomial(shown, taste)
        paid = rng.binomial(clicked, 0.2) * rng.lognormal(3, 1, shape)
        return np.array([shown, clicked, paid])

    return accumulate(day(number) for number in range(DAYS))


def looks(lift):
    """Difference and variance at each day's look, of CTR and of revenue: (days, 2, 2, n)."""
    rng = np.random.default_rng(2)
    found = []
    for ours, theirs in zip(days_of(rng, lift), days_of(rng), strict=True):
        of_both = [
            [
                estimate_ratio(sum_moments(shown, clicked)),
                estimate_ratio(sum_moments((shown > 0) * 1.0, paid)),
            ]
            for shown, clicked, paid in (ours, theirs)
        ]
        (a, b) = np.array(of_both)  # (measure, value or variance, simulations)
        found.append(np.stack([a[:, 0] - b[:, 0], a[:, 1] + b[:, 1]], axis=1))
    return np.array(found)[2:]  # after a burn-in


@pytest.fixture(scope="module")
def without_difference():
    return looks(lift=1.0)


@pytest.mark.parametrize(("measure", "effect"), [(0, CTR_EFFECT), (1, REVENUE_EFFECT)])
def test_a_look_each_day_finds_no_more_than_alpha_where_there_is_nothing(
    without_difference, measure, effect
):
    difference, variance = without_difference[:, measure].swapaxes(0, 1)
    is_found = always_valid_p_value(difference, variance, effect) <= ALPHA
    is_naively_found = 2 * stats.norm.sf(np.abs(difference) / np.sqrt(variance)) <= ALPHA
    assert is_found.any(axis=0).mean() <= ALPHA
    assert is_naively_found.any(axis=0).mean() > 3 * ALPHA
    assert is_naively_found[-1].mean() == pytest.approx(ALPHA, abs=0.025)  # the variance is right


def test_an_effect_that_is_there_is_found():
    difference, variance = looks(lift=1.6)[:, 0].swapaxes(0, 1)
    is_found = always_valid_p_value(difference, variance, CTR_EFFECT) <= ALPHA
    assert is_found.any(axis=0).mean() > 0.8
    away = confidence_half_width(variance, CTR_EFFECT, ALPHA)
    truth = 0.6 * 2 / 32
    assert (np.abs(difference - truth) <= away).all(axis=0).mean() >= 1 - ALPHA


@settings(deadline=None)
@given(st.floats(-5, 5), st.floats(1e-6, 10), st.floats(0.01, 10))
def test_the_confidence_sequence_leaves_zero_out_where_p_is_below_alpha(
    difference, variance, effect
):
    away = float(confidence_half_width(variance, effect, ALPHA))
    if abs(abs(difference) - away) > 1e-6 * away:
        p = float(always_valid_p_value(difference, variance, effect))
        assert (p < ALPHA) == (abs(difference) > away)
        assert 0 <= p <= 1


def test_the_evidence_is_the_ratio_of_two_densities():
    mixed = stats.norm.pdf(0.3, 0, np.sqrt(0.01 + 0.04)) / stats.norm.pdf(0.3, 0, 0.1)
    assert always_valid_p_value(0.3, 0.01, 0.2) == pytest.approx(1 / mixed)


def test_shares_that_are_kept_seldom_look_broken_and_broken_ones_do():
    rng = np.random.default_rng(4)
    shares = [0.5, 0.3, 0.2]

    def ever(given):
        arrived = rng.multinomial(100, given, (100, 30)).cumsum(axis=1)
        return np.mean(
            [min(mismatch_p_value(c, shares) for c in looks) <= 0.05 for looks in arrived]
        )

    assert ever(shares) <= 0.05
    assert ever([0.45, 0.35, 0.2]) > 0.95


def arm(n, rate, price=1.0):
    """n users of ten impressions each, clicked with this rate; who clicks pays."""
    clicked = np.random.default_rng(n).binomial(10, rate, n).astype(float)
    seen = np.full(n, 10.0)
    return {"ctr": sum_moments(seen, clicked), "revenue": sum_moments(np.ones(n), clicked * price)}


def read(arms, shares=None, **changes):
    given = {
        "control": "a",
        "shares": shares or {"a": 0.5, "b": 0.5},
        "effects": {"ctr": 0.02, "revenue": 0.2},
        "alpha": ALPHA,
        "mismatch_alpha": 0.001,
        "min_users": 500,
    }
    return compare_arms("ranker", arms, **given | changes)


def verdicts(told):
    return {(r.variant, r.measure): r.verdict for r in told}


def test_each_arm_is_better_worse_or_open_beside_the_control():
    arms = {"a": arm(2000, 0.1), "b": arm(2000, 0.13, 0.5), "c": arm(2001, 0.1)}
    told = read(arms, shares={"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    assert verdicts(told) == {
        ("b", "ctr"): "better",
        ("b", "revenue"): "worse",
        ("c", "ctr"): "open",
        ("c", "revenue"): "open",
    }
    first = told[0]
    assert (first.n_users, first.n_control) == (2000, 2000)
    assert first.difference == pytest.approx(first.value - first.control_value)
    assert first.low < 0.03 < first.high
    width = confidence_half_width(
        sum(estimate_ratio(arms[x]["ctr"])[1] for x in "ab"), 0.02, ALPHA / 4
    )
    assert first.high - first.low == pytest.approx(2 * width)  # of four comparisons


def test_few_users_users_who_are_alike_and_wrong_shares_find_nothing():
    few = read({"a": arm(499, 0.1), "b": arm(520, 0.5)})
    assert {r.verdict for r in few} == {"early"}
    assert {(r.low, r.high, r.p_value) for r in few} == {(None, None, None)}
    alike = read({"a": arm(600, 0.0), "b": arm(600, 0.0)})
    assert {r.verdict for r in alike} == {"early"}
    skewed = read({"a": arm(2000, 0.1), "b": arm(1500, 0.2)})
    assert {r.verdict for r in skewed} == {"mismatched"}


@pytest.mark.parametrize("arms", [{"a"}, {"a", "b", "c"}, set()])
def test_arms_without_users_or_without_a_share_are_told(arms):
    with pytest.raises(InputError, match=r"ranker: users in arms \[.*\], wanted in \['a', 'b'\]"):
        read({name: arm(600, 0.1) for name in arms})
