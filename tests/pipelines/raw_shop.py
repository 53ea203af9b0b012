"""Write raw files of a small shop and the settings that ingest them."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import yaml
from pyspark.sql import DataFrame

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.tables import EVENTS, IDENTITY, ITEMS, REJECTED_EVENTS, USERS

NAMES = ("user_id", "event_ts", "event_type", "item_id", "price", "title", "region", "user_agent")
MAPPING = {
    "name": "shop",
    "inputs": {"events": {"format": "jsonl"}, "users": {"format": "jsonl"}},
    "columns": {name: name for name in NAMES},
    "id_columns": ["id"],
    "event_types": {"view": "view", "buy": "purchase", "heartbeat": None},
    "users": {"input": "users", "user_id": "user_id", "age_band": "age"},
}
DECLARED_USERS = [{"user_id": "ann", "age": "25-34"}, {"user_id": "zoe", "age": "55+"}]
DAYS = {day: datetime(2026, 1, day, 12, tzinfo=UTC).timestamp() for day in range(1, 10)}
UNEQUAL = {"load_date", "ingest_ts", "file", "row_number"}  # columns that tell how rows arrived


def event(number: int, user: str | None = "ann", day: int = 1, **changes: object) -> dict:
    """Return a raw event of an hour of a day; `number` is its id and its minute."""
    values = {
        "id": f"e{number}",
        "user_id": user,
        "event_ts": f"2026-01-0{day} 10:{number % 60:02}:00",
        "event_type": "view",
        "item_id": f"item {number % 3}",
        "price": "2.5",
        "title": f"Title {number % 3}",
        "region": ("north", "south")[day % 2],
    }
    return values | changes


def burst(first: int, last: int) -> list[dict]:
    """Return views of a robot in the first minute of an hour."""
    return [event(n, "robot", event_ts=f"2026-01-01 10:00:{n % 60:02}") for n in range(first, last)]


def write_events(folder: Path, name: str, events: list[dict], day: int = 1) -> Path:
    """Write a file of raw events that arrived on a day."""
    file = folder / "raw" / "events" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in events), encoding="utf-8")
    os.utime(file, (DAYS[day], DAYS[day]))
    return file


def shop_settings(folder: Path, mapping: dict | None = None, **ingest: object) -> Settings:
    """Write the mapping and the declared users; return the settings that ingest the raw files."""
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    users = "".join(json.dumps(line) + "\n" for line in DECLARED_USERS)
    (folder / "raw" / "users.json").write_text(users, encoding="utf-8")
    changed = MAPPING | (mapping or {})
    (folder / "shop.yaml").write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
    paths = {"events": f"{folder}/raw/events", "users": f"{folder}/raw/users.json"}
    paths = {name: paths.get(name, f"{folder}/raw/{name}") for name in changed["inputs"]}
    values = {
        "mapping": f"{folder}/shop.yaml",
        "inputs": paths,
        "pseudonym_key": "a key of the tests",
        "max_rejected_share": 0.5,
        "latest": "2026-02-01",
    }
    overrides = [f"ingest.{key}={json.dumps(value)}" for key, value in (values | ingest).items()]
    return load_settings("dev", overrides)


def to_lines(frame: DataFrame) -> list[str]:
    """Return all rows as sorted JSON lines, without columns that tell how they arrived."""
    rows = frame.drop(*UNEQUAL).collect()
    return sorted(json.dumps(row.asDict(recursive=True), default=str) for row in rows)


def read_tables(store: Store) -> dict[str, list[str]]:
    """Read all rows of the tables that ingestion writes, as sorted JSON lines."""
    tables = (EVENTS, ITEMS, USERS, IDENTITY, REJECTED_EVENTS)
    return {table.name: to_lines(store.read_or_empty(table)) for table in tables}
