"""What another policy would have earned, on a log whose truth is known."""

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

GATES = {"min_overlap": 0.8, "min_effective_sample_size": 100}
GIVEN = {"max_weight": 2.0, "confidence_level": 0.95, **GATES}
KINDS, ITEMS, ROUNDS, LOGS = 3, 5, 2000, 200


def some_policy(rng):
    """The probability of each item to each kind of user, none of them 0."""
    return rng.dirichlet(np.full(ITEMS, 2.0), KINDS) * 0.8 + 0.2 / ITEMS


@pytest.fixture(scope="module")
def world():
    """What was logged of clicks by kind of user and item, LOGS times, and the new policy's value.

    Each log: its rounds, and a reward model that is right but for noise of its own.
    """
    rng = np.random.default_rng(5)
    logging, new = some_policy(rng), some_policy(rng)
    rate = rng.uniform(0.05, 0.6, (KINDS, ITEMS))
    guess = rate + rng.normal(0, 0.02, rate.shape)
    logs = []
    for _ in range(LOGS):
        kind = rng.integers(0, KINDS, ROUNDS)
        item = (rng.random((ROUNDS, 1)) > logging[kind].cumsum(1)).sum(1)
        rounds = Rounds(
            user=np.arange(ROUNDS) // 2,
            reward=(rng.random(ROUNDS) < rate[kind, item]).astype(float),
            propensity=logging[kind, item],
            target_propensity=new[kind, item],
        )
        logs.append((rounds, RewardPredictions(guess[kind, item], (new * guess).sum(1)[kind])))
    return logs, float((new * rate).sum(1).mean())


@pytest.fixture(scope="module")
def found(world):
    """Of each estimator the values and ends over all logs, (LOGS, 3)."""
    told = [policy_value(rounds, model, **GIVEN) for rounds, model in world[0]]
    return {
        name: np.array([(e[name].value, e[name].low, e[name].high) for e in told])
        for name in told[0]
    }


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_the_new_policys_value_is_found_without_bias_and_with_the_interval_promised(
    world, found, name
):
    value, low, high = found[name].T
    error = value.std() / np.sqrt(LOGS)
    assert value.mean() == pytest.approx(world[1], abs=3 * error)
    assert 0.91 <= np.mean((low <= world[1]) & (world[1] <= high)) <= 0.99


def test_a_reward_model_takes_noise_away_and_clipping_does_for_a_bias(world, found):
    spread = {name: values[:, 0].std() for name, values in found.items()}
    assert spread["dr"] < 0.85 * spread["ips"]
    assert spread["clipped"] < spread["ips"]
    assert found["clipped"][:, 0].mean() < world[1]


def test_a_wrong_reward_model_is_put_right_by_the_propensities(world):
    logs, truth = world
    wrong = [
        policy_value(rounds, RewardPredictions(np.full(ROUNDS, 0.9), np.full(ROUNDS, 0.9)), **GIVEN)
        for rounds, _ in logs
    ]
    values = np.array([told["dr"].value for told in wrong])
    assert values.mean() == pytest.approx(truth, abs=3 * values.std() / np.sqrt(LOGS))


def test_the_logging_policy_is_worth_what_it_earned(world):
    rounds = world[0][0][0]
    own = Rounds(rounds.user, rounds.reward, rounds.propensity, rounds.propensity)
    told = policy_value(own, **GIVEN)
    assert {e.value for e in told.values()} == {rounds.reward.mean()}
    assert effective_sample_size(importance_weights(own, **GATES)) == ROUNDS


def test_a_users_rounds_are_one_in_the_interval():
    rng = np.random.default_rng(1)
    reward, half = rng.integers(0, 2, 500).astype(float), np.full(500, 0.5)
    once = policy_value(Rounds(np.arange(500), reward, half, half), **GIVEN)["ips"]
    four = np.tile(np.arange(500), 4), np.tile(reward, 4), np.tile(half, 4), np.tile(half, 4)
    again = policy_value(Rounds(*four), **GIVEN)["ips"]
    assert (again.low, again.high) == (pytest.approx(once.low), pytest.approx(once.high))


def rounds_of(n=200, **changes):
    told = {
        "user": np.arange(n),
        **{k: np.full(n, 0.5) for k in ("reward", "propensity", "target_propensity")},
    }
    for name, value in changes.items():
        told[name] = told[name].copy()
        told[name][: n // 2] = value
    return Rounds(**told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"propensity": np.nan}, "propensity is not above 0 and up to 1 in 100 of 200 rounds"),
        ({"propensity": 0.0}, "propensity is not above 0 and up to 1 in 100"),
        ({"propensity": 1.5}, "propensity is not above 0 and up to 1 in 100"),
        ({"target_propensity": np.nan}, "target_propensity is not from 0 to 1 in 100"),
        ({"target_propensity": -0.1}, "target_propensity is not from 0 to 1 in 100"),
        ({"reward": np.nan}, "reward is no number in 100"),
        (
            {"target_propensity": 0.0},
            "mean weight is 0.500, wanted 0.8 to 1.250: the new policy shows what",
        ),
        ({"propensity": 0.1}, "mean weight is 3.000, wanted 0.8"),
        ({"target_propensity": 0.0, "propensity": 0.5}, "log with more exploration"),
    ],
)
def test_a_log_that_does_not_say_enough_is_refused(changes, told):
    with pytest.raises(InputError, match=told):
        importance_weights(rounds_of(**changes), **GATES)


def test_rounds_that_are_worth_few_are_refused():
    rare = rounds_of()
    rare.propensity[:] = 1.0
    rare.propensity[0] = 0.5 / 110  # a single round that weighs as much as all others
    with pytest.raises(InputError, match="200 rounds are worth 4 of the new policy's, wanted 100"):
        importance_weights(rare, **GATES)


def test_no_rounds_and_a_model_without_an_answer_are_refused():
    with pytest.raises(InputError, match="mean weight is 0.000"):
        importance_weights(rounds_of(0), **GATES)
    nothing = RewardPredictions(np.full(200, np.nan), np.zeros(200))
    with pytest.raises(InputError, match="the reward model is no number in 200 of 200 rounds"):
        policy_value(rounds_of(), nothing, **GIVEN)
