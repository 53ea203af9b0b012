"""People → their visits, and what they look at in each: arrays, one row a visit or a look."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profile_lib.events.shop.catalogue import Catalogue, pick_items
from profile_lib.events.shop.chance import Chance, Floats, Longs
from profile_lib.events.shop.people import CHANNEL_SHARES, People
from profile_lib.events.shop.words import REGIONS

Flags = NDArray[np.bool_]
DAY = 86_400.0
MAX_LOOKS = 8
BOT_VISITS, BOT_LOOKS = 2, 250


@dataclass(frozen=True)
class Visits:
    """One row a visit; `intent` (0 to 1) is the hidden wish to buy that shapes what is done."""

    person: Longs  # row of People
    user: Longs
    is_bot: Flags
    number: Longs  # within the user, in no order of time
    start: Floats  # seconds since the first day
    half: Longs
    focus: Longs  # category that the visit is mostly about
    intent: Floats
    region: Longs
    device: Longs
    channel: Longs

    @property
    def keys(self) -> tuple[Longs, Longs]:
        """What chance is keyed by."""
        return self.user, self.number


@dataclass(frozen=True)
class Looks:
    """One row an item shown in a visit; the last look of a visit is the one it may buy."""

    visit: Longs  # row of Visits
    slot: Longs
    is_target: Flags
    item: Longs
    position: Longs
    relevance: Floats  # 0 to 1: how well the item suits the user


def make_visits(chance: Chance, people: People, n_days: int, sessions_a_user: float) -> Visits:
    """Visits spread over the days, near each user's own hour; a bot makes BOT_VISITS."""
    wanted = np.maximum(1, np.rint(sessions_a_user * people.activity)).astype(np.int64)
    person = np.repeat(np.arange(len(people.user)), np.where(people.is_bot, BOT_VISITS, wanted))
    first = np.searchsorted(person, person)  # row of the person's first visit
    user, number = people.user[person], np.arange(len(person)) - first
    day = np.floor(n_days * chance.uniform("day", user, number))
    hour = people.peak_hour[person] + 2.5 * chance.normal("hour", user, number)
    half = (day >= n_days / 2).astype(np.int64)
    wish = 0.8 * people.eagerness[person] + 1.3 * chance.normal("wish", user, number) - 1.6
    travels = chance.uniform("travels", user, number) < 0.05
    away = chance.pick("away", np.ones(len(REGIONS)), user, number)
    other = (chance.uniform("device", user, number) < 0.25).astype(np.int64)
    return Visits(
        person=person,
        user=user,
        is_bot=people.is_bot[person],
        number=number,
        start=day * DAY + (hour % 24) * 3600,
        half=half,
        focus=chance.pick("focus", people.interests[person, half], user, number),
        intent=1 / (1 + np.exp(-wish)),
        region=np.where(travels, away, people.region[person]),
        device=people.devices[person, other],
        channel=chance.pick("channel", CHANNEL_SHARES, user, number),
    )


def make_looks(chance: Chance, shop: Catalogue, people: People, visits: Visits) -> Looks:
    """One to MAX_LOOKS items a visit, more with intent, some off its focus; bots see BOT_LOOKS."""
    drawn = -np.log(1 - chance.uniform("looks", *visits.keys)) * (1.3 + 3.4 * visits.intent)
    n_looks = np.minimum(1 + drawn.astype(np.int64), MAX_LOOKS)
    n_looks = np.where(visits.is_bot, BOT_LOOKS, n_looks)
    visit = np.repeat(np.arange(len(n_looks)), n_looks)
    slot = np.arange(len(visit)) - np.repeat(np.cumsum(n_looks) - n_looks, n_looks)
    is_target = slot == n_looks[visit] - 1
    keys = (visits.user[visit], visits.number[visit], slot)
    interests = people.interests[visits.person[visit], visits.half[visit]]
    strays = (chance.uniform("strays", *keys) < 0.4) & ~is_target
    category = np.where(strays, chance.pick("stray", interests, *keys), visits.focus[visit])
    item, fit = _best_of_three(chance, shop, people, visits.person[visit], category, *keys)
    likes = interests[np.arange(len(visit)), category] / interests.max(axis=1)
    return Looks(
        visit=visit,
        slot=slot,
        is_target=is_target,
        item=item,
        position=1 + (12 * chance.uniform("position", *keys) ** 1.7).astype(np.int64),
        relevance=0.4 * likes + 0.3 * fit + 0.3 * chance.uniform("relevance", *keys),
    )


def _best_of_three(
    chance: Chance, shop: Catalogue, people: People, person: Longs, category: Longs, *keys: Longs
) -> tuple[Longs, Floats]:
    """Of three popular items the one that suits best: favourite brand, price near one's wealth."""
    drawn = [pick_items(chance, f"item {n}", shop, category, *keys) for n in range(3)]
    favourite = chance.pick("favourite brand", np.ones(4), people.user[person], category)
    fits = np.stack(
        [
            0.4 * (shop.brand[item] == favourite)
            + 0.6 * (1 - np.abs(shop.price_level[item] - people.wealth[person]))
            for item in drawn
        ]
    )
    best = fits.argmax(axis=0)
    rows = np.arange(len(person))
    return np.stack(drawn)[best, rows], fits[best, rows]
