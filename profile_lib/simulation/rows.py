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
from profile_lib.simulation.visit_actions import ACTIONS, PAGE, PURCHASE, REVIEW, SEARCH
from profile_lib.simulation.visit_events import VisitEvents, make_visit_events
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
    "user long, visit_number long, event_number long, milliseconds long, action string, "
    "item string, title string, category string, brand string, price double, quantity long, "
    "query string, page string, review string, stars long, seconds double, rank long, "
    "channel string, device string, region string, is_bot boolean"
)
USERS_PER_BATCH = 1_000
BRANDS = [brand for assortment in ASSORTMENTS for brand in assortment.brands]
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
        """Return the source of this shop's random numbers."""
        return KeyedRandom(self.seed)

    def catalog(self) -> Catalog:
        """Make the items that the shop sells."""
        return make_catalog(self.rng, self.n_items, self.chinese_share)

    def people(self, user: Longs) -> People:
        """Make the users with these numbers."""
        return make_people(self.rng, user, self.drift_share, self.bots_share)


def make_row_batches(
    shop: Shop, user_numbers: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Make the rows of users, in columns of ROW_SCHEMA.

    The first column of `user_numbers` holds the numbers of the users. The rows of a user do not
    depend on the other users of the batch.
    """
    catalog = shop.catalog()
    for batch in user_numbers:
        users = batch.column(0).to_numpy()
        for begin in range(0, len(users), USERS_PER_BATCH):
            people = shop.people(users[begin : begin + USERS_PER_BATCH])
            visits = make_visits(shop.rng, people, shop.n_days, shop.sessions_per_user)
            impressions = make_impressions(shop.rng, catalog, people, visits)
            events = make_visit_events(shop.rng, visits, impressions, shop.n_days)
            yield _make_rows(shop.rng, catalog, visits, events)


def _make_rows(
    rng: KeyedRandom, catalog: Catalog, visits: Visits, events: VisitEvents
) -> pa.RecordBatch:
    user, visit, action = visits.user[events.visit], events.visit, events.action
    item = np.where(action == SEARCH, -1, events.item)
    query = np.where(action == SEARCH, events.item, -1)
    keys = (user, events.visit_number, events.event_number)
    page = (len(PAGES) * rng.uniform("page", *keys) ** 2).astype(np.int64)
    quantity = 1 + (3 * rng.uniform("quantity", *keys) ** 4).astype(np.int64)
    stars = np.rint(3.7 + 0.7 * catalog.quality[item] + 0.8 * rng.normal("stars", *keys))
    stars = np.clip(stars, 1, 5).astype(np.int64)
    phrase = (9 * rng.uniform("phrase", *keys)).astype(np.int64)
    review = (catalog.is_chinese[item] * 5 + stars - 1) * 9 + phrase
    is_review = action == REVIEW
    columns = {
        "user": pa.array(user),
        "visit_number": pa.array(events.visit_number),
        "event_number": pa.array(events.event_number),
        "milliseconds": pa.array(events.milliseconds),
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
        "review": _take_words(REVIEWS, np.where(is_review, review, -1)),
        "stars": _null_unless(is_review, stars),
        "seconds": _null_unless(~np.isnan(events.dwell_seconds), events.dwell_seconds),
        "rank": _null_unless(events.position > 0, events.position),
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
