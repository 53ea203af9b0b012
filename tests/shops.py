"""Generate random batches of changes for small shops that share one store."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from profile_lib.delta.merge import IS_DELETED
from profile_lib.delta.store import Store
from profile_lib.tables import EVENTS, ITEMS, USERS, Table

START = datetime(2026, 1, 10)
EVENT_TYPES = ("view", "cart", "purchase", "search", "click", "review", "return", "share")
DAY_MINUTES = 24 * 60
Row = dict[str, Any]


class Batch(NamedTuple):
    """Rows to write by their key; None deletes the row."""

    events: dict[str, Row | None]
    items: dict[str, Row | None]
    users: dict[str, Row | None]


def write_batch(store: Store, batches: Sequence[Batch], written: dict[str, dict[str, Row]]) -> None:
    """Write one batch of each shop; `written` holds all rows so far, by table and key."""
    for table, name in ((EVENTS, "events"), (ITEMS, "items"), (USERS, "users")):
        stored, rows = written.setdefault(name, {}), []
        for key, row in (pair for batch in batches for pair in getattr(batch, name).items()):
            values = stored.get(key) if row is None else row
            if values is not None:  # a row that is already deleted needs no second deletion
                rows.append((*(values.get(c) for c in table.column_names()), row is None))
                stored[key] = values
            if row is None:
                stored.pop(key, None)
        _upsert(store, table, rows)


def _upsert(store: Store, table: Table, rows: list[tuple[Any, ...]]) -> None:
    schema = f"struct<{table.schema.simpleString()[7:-1]},{IS_DELETED}:boolean>"
    store.upsert(table, store.spark.createDataFrame(rows, schema))


def generate_batches(number: int, seed: int) -> Iterator[Batch]:
    """Generate the batches of shop `number` without end; the first one creates it."""
    rng = np.random.default_rng(seed)
    shop = _Shop(f"s{number}", rng)
    yield Batch(
        dict(shop.event(n) for n in range(rng.integers(4, 16))),
        dict(shop.item(n) for n in range(4)),
        dict(shop.user(n) for n in range(2)),
    )
    while True:
        yield shop.batch()


class _Shop:
    def __init__(self, name: str, rng: Generator) -> None:
        self.name, self.rng = name, rng
        self.written: dict[str, Row] = {}

    def batch(self) -> Batch:
        """Make new, late, repeated, corrected and deleted events; sometimes change items or users.

        A batch may be empty.
        """
        events: dict[str, Row | None] = {}
        if self.rng.random() < 0.6:
            n = len(self.written)
            events |= dict(self.event(n + more) for more in range(self.rng.integers(1, 4)))
        for key, draw in zip(list(self.written), self.rng.random(len(self.written)), strict=True):
            if draw < 0.05:
                events[key] = None
            elif draw < 0.10:
                events[key] = self.written[key]
            elif draw < 0.15:
                events |= [self.event(int(key.rpartition("e")[2]))]
        if self.rng.random() < 0.05:  # a user is deleted
            user = self._user()
            events |= dict.fromkeys(k for k, row in self.written.items() if row["user_id"] == user)
        return Batch(events, self._items(), dict(self.user(1) for _ in range(self._draw(0.1))))

    def event(self, number: int) -> tuple[str, Row]:
        """Make an event on one of two days, by its number, that arrives up to a day later.

        Some share a minute, and some of them have a sequence.
        """
        minute = int(self.rng.integers(0, 144)) * 10 + DAY_MINUTES * (number % 2)
        ts, event_type = START + timedelta(minutes=minute), str(self.rng.choice(EVENT_TYPES))
        arrival = ts + timedelta(minutes=int(self.rng.integers(0, DAY_MINUTES)))
        key = f"{self.name}e{number}"
        queries = ["blue teapots", f"{self.name}mug", f"{self.name}tee"]
        self.written[key] = {
            "event_id": key, "user_id": self._user(), "event_ts": ts, "event_date": ts.date(),
            "event_type": event_type, "source": "s", "price": float(self.rng.integers(1, 9)),
            "item_id": None if event_type == "search" else f"{self.name}i{self.rng.integers(0, 5)}",
            "query": str(self.rng.choice(queries)) if event_type == "search" else None,
            "rating": float(self.rng.integers(1, 6)) if event_type == "review" else None,
            "quantity": [None, 0.5, 2.0][self.rng.integers(3)],
            "sequence": [None, number, -number][self.rng.integers(3)],
            "time_zone": [None, "Asia/Shanghai"][self.rng.integers(2)],
            "ingest_ts": arrival, "load_date": arrival.date(),
        }  # fmt: skip
        return key, self.written[key]

    def item(self, number: int) -> tuple[str, Row]:
        """Make an item whose title has a word of this shop and one that shops share."""
        key = f"{self.name}i{number}"
        noun = str(self.rng.choice([f"{self.name}mug", f"{self.name}tee", f"{self.name}pen"]))
        words = [str(self.rng.choice(["blue", "red"])), noun]
        return key, {
            "item_id": key, "title": " ".join(words), "brand": "acme",
            "keywords": words, "keyword_forms": words,
            "category": str(self.rng.choice(["cups", "clothes"])), "price": 1.0,
            "price_level": float(self.rng.integers(0, 5)) / 4,
        }  # fmt: skip

    def user(self, number: int) -> tuple[str, Row]:
        """Make a user with a declared age band."""
        key = f"{self.name}u{number}"
        age = str(self.rng.choice(["18-24", "25-34", "35-44"]))
        return key, {
            "user_id": key, "age_band": age, "attributes": {}, "declared": {},
            "first_seen_ts": START,
        }  # fmt: skip

    def _items(self) -> dict[str, Row | None]:
        changed: dict[str, Row | None] = dict(self.item(4) for _ in range(self._draw(0.1)))
        for number in range(4):
            if self._draw(0.05):
                key, row = self.item(number)
                changed[key] = row if self.rng.random() < 0.7 else None
        return changed

    def _user(self) -> str:
        return f"{self.name}u{self.rng.integers(0, 4)}"

    def _draw(self, share: float) -> int:
        return int(self.rng.random() < share)
