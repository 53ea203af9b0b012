"""Check estimates of another policy's value on logs with a known truth."""

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.feedback.off_policy import (
    RewardPredictions,
    Rounds,
    effective_sample_size,
    importance_weights,
    policy_value,
)

LIMITS = {"min_overlap": 0.8, "min_effective_sample_size": 100}
OPTIONS = {"max_weight": 2.0, "confidence_level": 0.95, **LIMITS}
USER_KINDS, ITEMS, ROUNDS, LOGS = 3, 5, 2000, 200


def random_policy(rng):
    """The probability of each item for each kind of user, always above 0."""
    return rng.dirichlet(np.full(ITEMS, 2.0), USER_KINDS) * 0.8 + 0.2 / ITEMS


@pytest.fixture(scope="module")
def world():
    """LOGS logs of clicks by kind of user and item, and the true value of the new policy.

    A log holds its rounds, and predicted rewards that are right except for noise.
    """
    rng = np.random.default_rng(5)
    logging, new = random_policy(rng), random_policy(rng)
    rate = rng.uniform(0.05, 0.6, (USER_KINDS, ITEMS))
    predicted = rate + rng.normal(0, 0.02, rate.shape)
    logs = []
    for _ in range(LOGS):
        kind = rng.integers(0, USER_KINDS, ROUNDS)
        item = (rng.random((ROUNDS, 1)) > logging[kind].cumsum(1)).sum(1)
        rounds = Rounds(
            user=np.arange(ROUNDS) // 2,
            reward=(rng.random(ROUNDS) < rate[kind, item]).astype(float),
            propensity=logging[kind, item],
            target_propensity=new[kind, item],
        )
        logs.append(
            (rounds, RewardPredictions(predicted[kind, item], (new * predicted).sum(1)[kind]))
        )
    return logs, float((new * rate).sum(1).mean())


@pytest.fixture(scope="module")
def estimates(world):
    """The value and interval of each estimator over all logs, (LOGS, 3)."""
    by_log = [policy_value(rounds, predictions, **OPTIONS) for rounds, predictions in world[0]]
    return {
        name: np.array([(e[name].value, e[name].low, e[name].high) for e in by_log])
        for name in by_log[0]
    }


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_the_estimate_is_unbiased_and_its_interval_has_the_stated_confidence(
    world, estimates, name
):
    value, low, high = estimates[name].T
    error = value.std() / np.sqrt(LOGS)
    assert value.mean() == pytest.approx(world[1], abs=3 * error)
    assert 0.91 <= np.mean((low <= world[1]) & (world[1] <= high)) <= 0.99


def test_predicted_rewards_reduce_noise_and_clipping_trades_noise_for_bias(world, estimates):
    spread = {name: values[:, 0].std() for name, values in estimates.items()}
    assert spread["dr"] < 0.85 * spread["ips"]
    assert spread["clipped"] < spread["ips"]
    assert estimates["clipped"][:, 0].mean() < world[1]


def test_right_propensities_correct_wrong_predictions(world):
    logs, truth = world
    wrong = RewardPredictions(np.full(ROUNDS, 0.9), np.full(ROUNDS, 0.9))
    estimates = [policy_value(rounds, wrong, **OPTIONS) for rounds, _ in logs]
    values = np.array([estimate["dr"].value for estimate in estimates])
    assert values.mean() == pytest.approx(truth, abs=3 * values.std() / np.sqrt(LOGS))


def test_the_value_of_the_logging_policy_is_its_mean_reward(world):
    rounds = world[0][0][0]
    unchanged = Rounds(rounds.user, rounds.reward, rounds.propensity, rounds.propensity)
    estimates = policy_value(unchanged, **OPTIONS)
    assert {e.value for e in estimates.values()} == {rounds.reward.mean()}
    assert effective_sample_size(importance_weights(unchanged, **LIMITS)) == ROUNDS


def test_repeating_each_users_rounds_does_not_narrow_the_interval():
    rng = np.random.default_rng(1)
    reward, half = rng.integers(0, 2, 500).astype(float), np.full(500, 0.5)
    single = policy_value(Rounds(np.arange(500), reward, half, half), **OPTIONS)["ips"]
    repeated = np.tile(np.arange(500), 4), np.tile(reward, 4), np.tile(half, 4), np.tile(half, 4)
    fourfold = policy_value(Rounds(*repeated), **OPTIONS)["ips"]
    assert fourfold.low == pytest.approx(single.low)
    assert fourfold.high == pytest.approx(single.high)


def make_rounds(n=200, **changes):
    """Make rounds whose first half has the changed values."""
    columns = {
        "user": np.arange(n),
        **{k: np.full(n, 0.5) for k in ("reward", "propensity", "target_propensity")},
    }
    for name, value in changes.items():
        columns[name][: n // 2] = value
    return Rounds(**columns)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"propensity": np.nan}, "propensity is not above 0 and at most 1 in 100 of 200 rounds"),
        ({"propensity": 0.0}, "propensity is not above 0 and at most 1 in 100"),
        ({"propensity": 1.5}, "propensity is not above 0 and at most 1 in 100"),
        ({"target_propensity": np.nan}, "target_propensity is not from 0 to 1 in 100"),
        ({"target_propensity": -0.1}, "target_propensity is not from 0 to 1 in 100"),
        ({"reward": np.nan}, "reward is not a number in 100"),
        (
            {"target_propensity": 0.0},
            "mean weight is 0.500, wanted 0.8 to 1.250: the new policy shows items",
        ),
        ({"propensity": 0.1}, "mean weight is 3.000, wanted 0.8"),
        ({"target_propensity": 0.0, "propensity": 0.5}, "log with more exploration"),
    ],
)
def test_an_invalid_or_uninformative_log_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        importance_weights(make_rounds(**changes), **LIMITS)


def test_a_log_with_a_small_effective_sample_size_is_refused():
    rare = make_rounds()
    rare.propensity[:] = 1.0
    rare.propensity[0] = 0.5 / 110  # a single round that weighs as much as all others
    with pytest.raises(
        InputError,
        match="200 rounds have an effective sample size of 4 .* wanted at least 100",
    ):
        importance_weights(rare, **LIMITS)


def test_an_empty_log_and_a_missing_prediction_are_refused():
    with pytest.raises(InputError, match="mean weight is 0.000"):
        importance_weights(make_rounds(0), **LIMITS)
    missing = RewardPredictions(np.full(200, np.nan), np.zeros(200))
    with pytest.raises(InputError, match="the predicted reward is not a number in 200 of 200"):
        policy_value(make_rounds(), missing, **OPTIONS)
