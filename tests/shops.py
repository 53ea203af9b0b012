"""Little shops side by side in one store, each with a history of its own, drawn from a seed."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from profile_lib.delta.merge import IS_DELETED
from profile_lib.delta.store import Store
from profile_lib.tables import EVENTS, ITEMS, USERS, Table

START = datetime(2026, 1, 10)
KINDS = ("view", "cart", "purchase", "search", "click", "review")
DAY = 24 * 60
Row = dict[str, Any]


class Batch(NamedTuple):
    """Rows to write, by their key; None takes the row out."""

    events: dict[str, Row | None]
    items: dict[str, Row | None]
    users: dict[str, Row | None]


def write_batch(store: Store, batches: Sequence[Batch], known: dict[str, dict[str, Row]]) -> None:
    """What the shops bring at once; `known` is what was written so far, by table and key."""
    for table, name in ((EVENTS, "events"), (ITEMS, "items"), (USERS, "users")):
        before, rows = known.setdefault(name, {}), []
        for key, row in (pair for batch in batches for pair in getattr(batch, name).items()):
            told = before.get(key) if row is None else row
            if told is not None:  # else it went before
                rows.append((*(told.get(c) for c in table.column_names()), row is None))
                before |= {key: told}
            if row is None:
                before.pop(key, None)
        _upsert(store, table, rows)


def _upsert(store: Store, table: Table, rows: list[tuple[Any, ...]]) -> None:
    schema = f"struct<{table.schema.simpleString()[7:-1]},{IS_DELETED}:boolean>"
    store.upsert(table, store.spark.createDataFrame(rows, schema))


def generate_batches(number: int, seed: int) -> Iterator[Batch]:
    """What shop `number` brings, one batch after the other, without end."""
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
        """New events, late ones, the same again, corrected and deleted ones; at times otherwise
        described items and users, or nothing at all."""
        events: dict[str, Row | None] = {}
        if self.rng.random() < 0.6:
            n = len(self.written)
            events |= dict(self.event(n + more) for more in range(self.rng.integers(1, 4)))
        for key, act in zip(list(self.written), self.rng.random(len(self.written)), strict=True):
            if act < 0.05:
                events[key] = None
            elif act < 0.10:
                events[key] = self.written[key]
            elif act < 0.15:
                events |= [self.event(int(key.rpartition("e")[2]))]
        if self.rng.random() < 0.05:  # a user goes
            user = self._user()
            events |= dict.fromkeys(k for k, row in self.written.items() if row["user_id"] == user)
        return Batch(events, self._items(), dict(self.user(1) for _ in range(self._at_times(0.1))))

    def event(self, number: int) -> tuple[str, Row]:
        """Of any moment of two days, on its own day; known up to a day later."""
        minute = int(self.rng.integers(0, DAY)) + DAY * (number % 2)
        ts, kind = START + timedelta(minutes=minute), str(self.rng.choice(KINDS))
        key = f"{self.name}e{number}"
        said = [None, "blue teapots", f"{self.name}mug", f"{self.name}tee"]
        self.written[key] = {
            "event_id": key, "user_id": self._user(), "event_ts": ts, "event_date": ts.date(),
            "event_type": kind, "source": "s", "price": float(self.rng.integers(1, 9)),
            "item_id": None if kind == "search" else f"{self.name}i{self.rng.integers(0, 5)}",
            "query": str(self.rng.choice(said[1:])) if kind == "search" else None,
            "rating": float(self.rng.integers(1, 6)) if kind == "review" else None,
            "ingest_ts": ts + timedelta(minutes=int(self.rng.integers(0, DAY))),
        }  # fmt: skip
        return key, self.written[key]

    def item(self, number: int) -> tuple[str, Row]:
        """Its title holds words of this shop alone, and one of many."""
        key = f"{self.name}i{number}"
        own = str(self.rng.choice([f"{self.name}mug", f"{self.name}tee", f"{self.name}pen"]))
        words = [str(self.rng.choice(["blue", "red"])), own]
        return key, {
            "item_id": key, "title": " ".join(words), "keywords": words, "brand": "acme",
            "category": str(self.rng.choice(["cups", "clothes"])), "price": 1.0,
            "price_level": float(self.rng.integers(0, 5)) / 4,
        }  # fmt: skip

    def user(self, number: int) -> tuple[str, Row]:
        """What is declared of a user."""
        key = f"{self.name}u{number}"
        age = str(self.rng.choice(["18-24", "25-34", "35-44"]))
        return key, {"user_id": key, "age_band": age, "attributes": {}, "first_seen_ts": START}

    def _items(self) -> dict[str, Row | None]:
        changed: dict[str, Row | None] = dict(self.item(4) for _ in range(self._at_times(0.1)))
        for number in range(4):
            if self._at_times(0.05):
                key, row = self.item(number)
                changed[key] = row if self.rng.random() < 0.7 else None
        return changed

    def _user(self) -> str:
        return f"{self.name}u{self.rng.integers(0, 4)}"

    def _at_times(self, share: float) -> int:
        return int(self.rng.random() < share)
