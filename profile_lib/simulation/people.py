"""Make the simulated users, with the hidden truth behind their behaviour."""

from dataclasses import dataclass

import numpy as np

from profile_lib.arrays.types import Flags, Floats, Longs
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.words import (
    AGE_TASTES,
    CATEGORIES,
    FEMALE_TASTES,
    GENDERS,
    REGIONS,
)

GENDER_TASTES = np.array([FEMALE_TASTES, [-taste for taste in FEMALE_TASTES]])
TASTE_SPREAD = 0.8  # scale of personal taste, added to the taste of the age band and gender
# The shares of the three strongest interests; the others share the rest evenly.
INTEREST_SHARES = np.array([0.7, 0.13, 0.06])
AGE_SHARES = np.array([0.2, 0.28, 0.22, 0.17, 0.13])
CHANNEL_SHARES = np.array([0.35, 0.25, 0.15, 0.1, 0.1, 0.05])
DEVICE_SHARES = np.array([0.45, 0.3, 0.18, 0.07])


@dataclass(frozen=True)
class People:
    """Arrays with one row per user.

    `interests[:, 0]` hold in the first half of the simulated days, `interests[:, 1]` after it.
    """

    user: Longs
    is_bot: Flags
    age: Longs  # index into AGE_BANDS
    gender: Longs  # index into GENDERS
    region: Longs  # index into REGIONS
    is_declared: Flags  # the user declared age, gender and region to the shop
    drifts: Flags  # the interests change half way
    interests: Floats  # (users, 2, categories), each summing to 1
    wealth: Floats  # 0 to 1: the preferred price level
    eagerness: Floats  # standard normal: the inclination to buy
    activity: Floats  # factor of the number of visits, about 1 on average
    peak_hour: Floats
    devices: Longs  # (users, 2): the main device and another

    @property
    def top_categories(self) -> Longs:
        """Return the strongest interest of each half: (users, 2)."""
        return self.interests.argmax(axis=2)


def make_people(rng: KeyedRandom, user: Longs, drift_share: float, bots_share: float) -> People:
    """Make the users with these numbers; each user is independent of the others."""
    age = rng.pick("age", AGE_SHARES, user)
    gender = rng.pick("gender", np.ones(len(GENDERS)), user)
    drifts = rng.uniform("drifts", user) < drift_share
    first = rng.pick("device", DEVICE_SHARES, user)
    other = rng.pick("other device", DEVICE_SHARES, user)
    return People(
        user=user,
        is_bot=rng.uniform("bot", user) < bots_share,
        age=age,
        gender=gender,
        region=rng.pick("region", np.ones(len(REGIONS)), user),
        is_declared=rng.uniform("declared", user) < 0.5,
        drifts=drifts,
        interests=_interests(rng, user, np.array(AGE_TASTES)[age] + GENDER_TASTES[gender], drifts),
        wealth=rng.uniform("wealth", user),
        eagerness=rng.normal("eagerness", user),
        activity=np.exp(0.5 * rng.normal("activity", user) - 0.125),
        peak_hour=8 + 15 * rng.uniform("peak hour", user),
        devices=np.stack([first, other], axis=1),
    )


def _interests(rng: KeyedRandom, user: Longs, taste: Floats, drifts: Flags) -> Floats:
    """Return each user's interest in each category, before and after a drift.

    `taste` has shape (users, categories), the result (users, 2, categories). A category's share
    depends on the rank of the user's taste for it. The two strongest interests of drifting users
    become the weakest.
    """
    category = np.arange(len(CATEGORIES))
    before = taste + TASTE_SPREAD * _gumbel(rng, "taste", user[:, None], category)
    after = taste + TASTE_SPREAD * _gumbel(rng, "later taste", user[:, None], category)
    ranks = _descending_ranks(before)
    after = np.where(drifts[:, None], after - 100.0 * (ranks < 2), before)
    rest = len(CATEGORIES) - len(INTEREST_SHARES)
    shares = np.concatenate([INTEREST_SHARES, np.full(rest, (1 - INTEREST_SHARES.sum()) / rest)])
    return np.stack([shares[ranks], shares[_descending_ranks(after)]], axis=1)


def _gumbel(rng: KeyedRandom, name: str, *keys: Longs) -> Floats:
    return -np.log(-np.log(np.clip(rng.uniform(name, *keys), 1e-12, 1 - 1e-12)))


def _descending_ranks(values: Floats) -> Longs:
    return (-values).argsort(axis=1).argsort(axis=1)
