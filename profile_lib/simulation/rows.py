"""Make the raw rows of users as Arrow batches, with numeric ids."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from profile_lib.arrays.types import Flags, Longs
from profile_lib.simulation.catalog import Catalog, make_catalog
from profile_lib.simulation.keyed_random import KeyedRandom
from profile_lib.simulation.people import People, make_people
from profile_lib.simulation.steps import ACTIONS, PAGE, PURCHASE, REVIEW, SEARCH, Steps, make_steps
from profile_lib.simulation.visits import Visits, make_impressions, make_visits
from profile_lib.simulation.words import (
    ASSORTMENTS,
    CATEGORIES,
    CHANNELS,
    CHINESE_REVIEW_PHRASES,
    DEVICES,
    PAGES,
    REGIONS,
    REVIEW_PHRASES,
)

ROW_SCHEMA = (
    "user long, visit_number long, step long, milliseconds long, action string, item string, "
    "title string, category string, brand string, price double, quantity long, query string, "
    "page string, review string, stars long, seconds double, rank long, channel string, "
    "device string, region string, is_bot boolean"
)
USERS_PER_BATCH = 1_000
BRANDS = [brand for shelf in ASSORTMENTS for brand in shelf.brands]
REVIEWS = [
    f"{first}{comma}{second}" if first != second else first
    for languages, comma in ((REVIEW_PHRASES, ", "), (CHINESE_REVIEW_PHRASES, "，"))
    for phrases in languages
    for first in phrases
    for second in phrases
]


@dataclass(frozen=True)
class Shop:
    """The parameters that, with a user's number, decide every row."""

    seed: int
    n_users: int
    n_items: int
    n_days: int
    sessions_per_user: float
    chinese_share: float
    drift_share: float
    bots_share: float

    @property
    def rng(self) -> KeyedRandom:
        """Return the random numbers of this shop."""
        return KeyedRandom(self.seed)

    def catalog(self) -> Catalog:
        """Make the items that the shop sells."""
        return make_catalog(self.rng, self.n_items, self.chinese_share)

    def people(self, user: Longs) -> People:
        """Make the users with these numbers."""
        return make_people(self.rng, user, self.drift_share, self.bots_share)


def make_row_batches(shop: Shop, numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Make the rows of users, the same in any batch."""
    catalog = shop.catalog()
    for batch in numbers:
        users = batch.column(0).to_numpy()
        for begin in range(0, len(users), USERS_PER_BATCH):
            people = shop.people(users[begin : begin + USERS_PER_BATCH])
            visits = make_visits(shop.rng, people, shop.n_days, shop.sessions_per_user)
            impressions = make_impressions(shop.rng, catalog, people, visits)
            steps = make_steps(shop.rng, visits, impressions, shop.n_days)
            yield _make_rows(shop.rng, catalog, visits, steps)


def _make_rows(rng: KeyedRandom, catalog: Catalog, visits: Visits, steps: Steps) -> pa.RecordBatch:
    user, visit, action = visits.user[steps.visit], steps.visit, steps.action
    item = np.where(action == SEARCH, -1, steps.item)
    query = np.where(action == SEARCH, steps.item, -1)
    keys = (user, steps.visit_number, steps.step)
    page = (len(PAGES) * rng.uniform("page", *keys) ** 2).astype(np.int64)
    quantity = 1 + (3 * rng.uniform("quantity", *keys) ** 4).astype(np.int64)
    stars = np.rint(3.7 + 0.7 * catalog.quality[item] + 0.8 * rng.normal("stars", *keys))
    stars = np.clip(stars, 1, 5).astype(np.int64)
    phrase = (9 * rng.uniform("phrase", *keys)).astype(np.int64)
    review = (catalog.is_chinese[item] * 5 + stars - 1) * 9 + phrase
    reviews = action == REVIEW
    columns = {
        "user": pa.array(user),
        "visit_number": pa.array(steps.visit_number),
        "step": pa.array(steps.step),
        "milliseconds": pa.array(steps.time),
        "action": _take_words(ACTIONS, action),
        "item": _take_words(catalog.item, item),
        "title": _take_words(catalog.title, item),
        "category": _take_words(CATEGORIES, np.where(item < 0, -1, catalog.category[item])),
        "brand": _take_words(
            BRANDS, np.where(item < 0, -1, catalog.category[item] * 4 + catalog.brand[item])
        ),
        "price": _null_unless(item >= 0, catalog.price[item]),
        "quantity": _null_unless(action == PURCHASE, quantity),
        "query": _take_words(catalog.query, query),
        "page": _take_words(PAGES, np.where(action == PAGE, page, -1)),
        "review": _take_words(REVIEWS, np.where(reviews, review, -1)),
        "stars": _null_unless(reviews, stars),
        "seconds": _null_unless(~np.isnan(steps.dwell), steps.dwell),
        "rank": _null_unless(steps.position > 0, steps.position),
        "channel": _take_words(CHANNELS, visits.channel[visit]),
        "device": _take_words(DEVICES, visits.device[visit]),
        "region": _take_words(REGIONS, visits.region[visit]),
        "is_bot": pa.array(visits.is_bot[visit]),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _take_words(words: Sequence[str] | ArrayLike, index: Longs) -> pa.Array:
    """Return the words at these indices; null for -1."""
    return pa.array(words, pa.string()).take(pa.array(index, mask=index < 0))


def _null_unless(is_valid: Flags, values: ArrayLike) -> pa.Array:
    return pa.array(values, mask=~is_valid)
