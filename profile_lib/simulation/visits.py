"""Make the visits of users, and the items shown in each visit."""

from dataclasses import dataclass

import numpy as np

from profile_lib.arrays.types import Flags, Floats, Longs
from profile_lib.simulation.catalog import Catalog, pick_items
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.people import CHANNEL_SHARES, People
from profile_lib.simulation.words import REGIONS

DAY_SECONDS = 86_400.0
MAX_IMPRESSIONS_PER_VISIT = 8
VISITS_PER_BOT, IMPRESSIONS_PER_BOT_VISIT = 2, 250


@dataclass(frozen=True)
class Visits:
    """Arrays with one row per visit."""

    person: Longs  # row of People
    user: Longs
    is_bot: Flags
    visit_number: Longs  # within the user, not in order of time
    start: Floats  # seconds since the first day
    half: Longs  # of the simulated days, 0 or 1
    focus: Longs  # the main category of the visit
    intent: Floats  # 0 to 1: the hidden wish to buy, which shapes the visit
    region: Longs
    device: Longs
    channel: Longs

    @property
    def keys(self) -> tuple[Longs, Longs]:
        """Return the keys by which the random numbers of each visit are drawn."""
        return self.user, self.visit_number


@dataclass(frozen=True)
class Impressions:
    """Arrays with one row per item shown in a visit.

    The last item of a visit is its target, which may be bought.
    """

    visit: Longs  # row of Visits
    slot: Longs  # from 0, in the order of viewing
    is_target: Flags
    item: Longs  # row of Catalog
    position: Longs  # in the list of the shop, from 1
    relevance: Floats  # 0 to 1: how well the item suits the user


def make_visits(rng: KeyedRandom, people: People, n_days: int, sessions_per_user: float) -> Visits:
    """Spread visits over the days, near each user's peak hour."""
    n_visits = np.maximum(1, np.rint(sessions_per_user * people.activity)).astype(np.int64)
    n_visits = np.where(people.is_bot, VISITS_PER_BOT, n_visits)
    person = np.repeat(np.arange(len(people.user)), n_visits)
    first = np.searchsorted(person, person)  # row of the person's first visit
    user, number = people.user[person], np.arange(len(person)) - first
    day = np.floor(n_days * rng.uniform("day", user, number))
    hour = people.peak_hour[person] + 2.5 * rng.normal("hour", user, number)
    half = (day >= n_days / 2).astype(np.int64)
    intent_logit = 0.8 * people.eagerness[person] + 1.3 * rng.normal("wish", user, number) - 1.6
    is_travelling = rng.uniform("travels", user, number) < 0.05
    other_region = rng.pick("away", np.ones(len(REGIONS)), user, number)
    device_index = (rng.uniform("device", user, number) < 0.25).astype(np.int64)
    return Visits(
        person=person,
        user=user,
        is_bot=people.is_bot[person],
        visit_number=number,
        start=day * DAY_SECONDS + (hour % 24) * 3600,
        half=half,
        focus=rng.pick("focus", people.interests[person, half], user, number),
        intent=1 / (1 + np.exp(-intent_logit)),
        region=np.where(is_travelling, other_region, people.region[person]),
        device=people.devices[person, device_index],
        channel=rng.pick("channel", CHANNEL_SHARES, user, number),
    )


def make_impressions(
    rng: KeyedRandom, catalog: Catalog, people: People, visits: Visits
) -> Impressions:
    """Show items in each visit: more with more intent, and some outside the visit's focus.

    A person sees 1 to MAX_IMPRESSIONS_PER_VISIT items, a bot IMPRESSIONS_PER_BOT_VISIT.
    """
    n_more = -np.log(1 - rng.uniform("looks", *visits.keys)) * (1.3 + 3.4 * visits.intent)
    n_impressions = np.minimum(1 + n_more.astype(np.int64), MAX_IMPRESSIONS_PER_VISIT)
    n_impressions = np.where(visits.is_bot, IMPRESSIONS_PER_BOT_VISIT, n_impressions)
    visit = np.repeat(np.arange(len(n_impressions)), n_impressions)
    slot = np.arange(len(visit)) - np.repeat(
        np.cumsum(n_impressions) - n_impressions, n_impressions
    )
    is_target = slot == n_impressions[visit] - 1
    keys = (visits.user[visit], visits.visit_number[visit], slot)
    interests = people.interests[visits.person[visit], visits.half[visit]]
    is_off_focus = (rng.uniform("strays", *keys) < 0.4) & ~is_target
    category = np.where(is_off_focus, rng.pick("stray", interests, *keys), visits.focus[visit])
    item, fit = _best_of_three(rng, catalog, people, visits.person[visit], category, *keys)
    likes = interests[np.arange(len(visit)), category] / interests.max(axis=1)
    return Impressions(
        visit=visit,
        slot=slot,
        is_target=is_target,
        item=item,
        position=1 + (12 * rng.uniform("position", *keys) ** 1.7).astype(np.int64),
        relevance=0.4 * likes + 0.3 * fit + 0.3 * rng.uniform("relevance", *keys),
    )


def _best_of_three(
    rng: KeyedRandom, catalog: Catalog, people: People, person: Longs, category: Longs, *keys: Longs
) -> tuple[Longs, Floats]:
    """Choose the best-fitting of three items drawn by popularity.

    Also returns its fit, 0 to 1. An item fits if it is of the user's favourite brand in the
    category, and if its price level is near the user's wealth.
    """
    drawn = [pick_items(rng, f"item {n}", catalog, category, *keys) for n in range(3)]
    favourite = rng.pick("favourite brand", np.ones(4), people.user[person], category)
    fits = np.stack(
        [
            0.4 * (catalog.brand[item] == favourite)
            + 0.6 * (1 - np.abs(catalog.price_level[item] - people.wealth[person]))
            for item in drawn
        ]
    )
    best = fits.argmax(axis=0)
    rows = np.arange(len(person))
    return np.stack(drawn)[best, rows], fits[best, rows]
