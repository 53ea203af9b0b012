"""User numbers → raw rows of the shop as Arrow batches; ids are still numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from profile_lib.events.shop.catalogue import Catalogue, make_catalogue
from profile_lib.events.shop.chance import Chance, Longs
from profile_lib.events.shop.people import People, make_people
from profile_lib.events.shop.steps import ACTIONS, PAGE, PURCHASE, REVIEW, SEARCH, Steps, make_steps
from profile_lib.events.shop.visits import Flags, Visits, make_looks, make_visits
from profile_lib.events.shop.words import (
    CATEGORIES,
    CHANNELS,
    CHINESE_PRAISE,
    DEVICES,
    PAGES,
    PRAISE,
    REGIONS,
    SHELVES,
)

ROW_SCHEMA = (
    "user long, number long, step long, milliseconds long, action string, item string, "
    "title string, category string, brand string, price double, quantity long, query string, "
    "page string, review string, stars long, seconds double, rank long, channel string, "
    "device string, region string, is_bot boolean"
)
USERS_A_BATCH = 1_000
BRANDS = [brand for shelf in SHELVES for brand in shelf.brands]
REVIEWS = [
    f"{first}{comma}{second}" if first != second else first
    for languages, comma in ((PRAISE, ", "), (CHINESE_PRAISE, "，"))
    for phrases in languages
    for first in phrases
    for second in phrases
]


@dataclass(frozen=True)
class Shop:
    """What decides every row, beside the user's number."""

    seed: int
    n_users: int
    n_items: int
    n_days: int
    sessions_a_user: float
    chinese_share: float
    drift_share: float
    bots_share: float

    @property
    def chance(self) -> Chance:
        """The draws of this shop."""
        return Chance(self.seed)

    def catalogue(self) -> Catalogue:
        """What it sells."""
        return make_catalogue(self.chance, self.n_items, self.chinese_share)

    def people(self, user: Longs) -> People:
        """Who the users with these numbers are."""
        return make_people(self.chance, user, self.drift_share, self.bots_share)


def row_batches(shop: Shop, numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows of the users whose numbers come in; a user's rows do not depend on the batch."""
    catalogue = shop.catalogue()
    for batch in numbers:
        users = batch.column(0).to_numpy()
        for begin in range(0, len(users), USERS_A_BATCH):
            people = shop.people(users[begin : begin + USERS_A_BATCH])
            visits = make_visits(shop.chance, people, shop.n_days, shop.sessions_a_user)
            looks = make_looks(shop.chance, catalogue, people, visits)
            steps = make_steps(shop.chance, visits, looks, shop.n_days)
            yield _rows(shop.chance, catalogue, visits, steps)


def _rows(chance: Chance, shop: Catalogue, visits: Visits, steps: Steps) -> pa.RecordBatch:
    user, visit, action = visits.user[steps.visit], steps.visit, steps.action
    item = np.where(action == SEARCH, -1, steps.item)
    query = np.where(action == SEARCH, steps.item, -1)
    keys = (user, steps.number, steps.step)
    page = (len(PAGES) * chance.uniform("page", *keys) ** 2).astype(np.int64)
    quantity = 1 + (3 * chance.uniform("quantity", *keys) ** 4).astype(np.int64)
    stars = np.rint(3.7 + 0.7 * shop.quality[item] + 0.8 * chance.normal("stars", *keys))
    stars = np.clip(stars, 1, 5).astype(np.int64)
    phrase = (9 * chance.uniform("phrase", *keys)).astype(np.int64)
    review = (shop.is_chinese[item] * 5 + stars - 1) * 9 + phrase
    reviews = action == REVIEW
    columns = {
        "user": pa.array(user),
        "number": pa.array(steps.number),
        "step": pa.array(steps.step),
        "milliseconds": pa.array(steps.time),
        "action": _words(ACTIONS, action),
        "item": _words(shop.item, item),
        "title": _words(shop.title, item),
        "category": _words(CATEGORIES, np.where(item < 0, -1, shop.category[item])),
        "brand": _words(BRANDS, np.where(item < 0, -1, shop.category[item] * 4 + shop.brand[item])),
        "price": _where(item >= 0, shop.price[item]),
        "quantity": _where(action == PURCHASE, quantity),
        "query": _words(shop.query, query),
        "page": _words(PAGES, np.where(action == PAGE, page, -1)),
        "review": _words(REVIEWS, np.where(reviews, review, -1)),
        "stars": _where(reviews, stars),
        "seconds": _where(~np.isnan(steps.dwell), steps.dwell),
        "rank": _where(steps.position > 0, steps.position),
        "channel": _words(CHANNELS, visits.channel[visit]),
        "device": _words(DEVICES, visits.device[visit]),
        "region": _words(REGIONS, visits.region[visit]),
        "is_bot": pa.array(visits.is_bot[visit]),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _words(words: Sequence[str] | ArrayLike, index: Longs) -> pa.Array:
    """The words at these places; null where the index is -1."""
    return pa.array(words, pa.string()).take(pa.array(index, mask=index < 0))


def _where(known: Flags, values: ArrayLike) -> pa.Array:
    return pa.array(values, mask=~known)
