"""Check that ingestion gives the same tables in any order, repeated or day by day."""

import json
import random
import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml
from pyspark.sql import DataFrame

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.ingest_events import run
from profile_lib.tables import EVENTS, IDENTITY, ITEMS, REJECTED_EVENTS, USERS
from tests.worlds import NOW

MAPPING = {
    "name": "shop",
    "inputs": {"events": {"format": "jsonl"}, "users": {"format": "jsonl"}},
    "columns": {
        name: name
        for name in ("event_id", "user_id", "event_ts", "ingest_ts", "event_type", "item_id")
    }
    | {"price": "price", "title": "title", "region": "region", "text": "text"},
    "event_types": {"view": "view", "buy": "purchase"},
    "users": {"input": "users", "user_id": "user_id", "age_band": "age"},
}
DECLARED_USERS = [{"user_id": "ann", "age": "25-34"}, {"user_id": "zoe", "age": "55+"}]


def event(number: int, user: str | None = "ann", day: int = 1, **changes: object) -> dict:
    values = {
        "event_id": f"e{number}",
        "user_id": user,
        "event_ts": f"2026-01-0{day} 10:{number % 60:02}:00",
        "ingest_ts": f"2026-01-0{day} 12:00:00",
        "event_type": "view",
        "item_id": f"item {number % 3}",
        "price": "2.5",
        "title": f"Title {number % 3}",
        "region": ("north", "south")[day % 2],
        "text": None,
    }
    return values | changes


def write_source(folder: Path, events: list[dict], **ingest: object) -> Settings:
    """Write the raw files and their mapping; return the settings that ingest them."""
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    for name, lines in (("events", events), ("users", DECLARED_USERS)):
        text = "\n".join(json.dumps(line) for line in lines)
        (raw / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "shop.yaml").write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    values = {
        "mapping": str(folder / "shop.yaml"),
        "inputs": {name: str(raw / f"{name}.json") for name in ("events", "users")},
        "pseudonym_key": "a key of the tests",
        "max_rejected_share": 0.5,
        "latest": "2026-02-01",
    }
    overrides = [f"ingest.{key}={json.dumps(value)}" for key, value in (values | ingest).items()]
    return load_settings("conf/dev.yaml", overrides)


def to_lines(frame: DataFrame) -> list[str]:
    return sorted(json.dumps(r.asDict(recursive=True), default=str) for r in frame.collect())


def read_tables(store: Store) -> dict[str, list[str]]:
    """Read all rows of the tables that ingestion writes, as sorted JSON lines."""
    tables = (EVENTS, ITEMS, USERS, IDENTITY, REJECTED_EVENTS)
    return {table.name: to_lines(store.read_or_empty(table)) for table in tables}


USERS_AND_DAYS = [("ann", 1), ("bob", 1), ("ann", 2)] * 4
RAW_EVENTS = [
    *[event(number, user, day) for number, (user, day) in enumerate(USERS_AND_DAYS)],
    event(20, "cat@example.org", 2, event_type="buy"),
    event(21, "cat@example.org", 2, event_type="teleport"),
    event(22, None, 2),
    event(23, "ann", 2, price="ten"),
]


@pytest.fixture(scope="module")
def ingested(spark, tmp_path_factory) -> tuple[Store, Settings]:
    """Ingest all raw events at once."""
    folder = tmp_path_factory.mktemp("at_once")
    store, settings = Store(spark, str(folder / "tables")), write_source(folder, RAW_EVENTS)
    run(store, settings, now=NOW)
    return store, settings


def test_a_batch_becomes_events_items_users_and_rejected_rows(ingested):
    store, _ = ingested
    events = store.read(EVENTS)
    assert events.count() == 13
    assert events.where("event_type = 'purchase'").count() == 1
    assert store.read(ITEMS).orderBy("item_id").first()["title"] == "Title 0"
    declared = {r["age_band"] for r in store.read(USERS).collect()}
    assert declared == {"25-34", None}  # zoe has no events
    reasons = [r["reasons"] for r in store.read(REJECTED_EVENTS).orderBy("reasons").collect()]
    assert reasons == [
        ["event_type without a mapping: teleport"],
        ["price is not a number: ten"],
        ["user_id is null"],
    ]


def test_the_raw_id_is_stored_only_in_the_identity_table(ingested):
    tables = read_tables(ingested[0])
    assert "cat@example.org" in "".join(tables.pop("identity"))
    assert "cat@example.org" not in "".join(line for lines in tables.values() for line in lines)


def test_ingesting_a_file_again_adds_nothing(ingested):
    store, settings = ingested
    before = read_tables(store)
    run(store, settings, now=NOW)
    assert read_tables(store) == before


@pytest.mark.slow
def test_a_stored_event_that_arrives_again_with_another_date_is_unchanged(
    ingested, spark, tmp_path
):
    store = Store(spark, shutil.copytree(ingested[0].root, tmp_path / "tables").as_posix())
    again = event(0, "ann", 1, event_ts="2026-01-02 00:00:03", ingest_ts="2026-01-03 12:00:00")
    run(store, write_source(tmp_path, [again, event(30, "ann", 3)]), now=NOW)
    events = store.read(EVENTS)
    assert events.count() == 14
    assert events.where("event_id = 'e0'").select("event_date").collect() == [(date(2026, 1, 1),)]


def test_shuffled_and_duplicated_rows_give_the_same_tables(ingested, store, tmp_path):
    raw_events = RAW_EVENTS + RAW_EVENTS[3:9]
    random.Random(1).shuffle(raw_events)
    run(store, write_source(tmp_path, raw_events), now=NOW)
    assert read_tables(store) == read_tables(ingested[0])


@pytest.mark.slow
def test_ingesting_the_days_backwards_gives_the_same_tables_as_all_at_once(ingested, store):
    _, settings = ingested
    for day in (2, 1):
        run(store, settings, date(2026, 1, day), now=NOW)
    assert read_tables(store) == read_tables(ingested[0])


def test_a_day_without_events_writes_nothing_and_is_reported(store, tmp_path, caplog):
    caplog.set_level("INFO", "profile_lib")
    run(store, write_source(tmp_path, RAW_EVENTS), date(2026, 1, 9), now=NOW)
    assert "nothing arrived on 2026-01-09; nothing written" in caplog.text
    assert not store.exists(EVENTS)


def test_more_rejections_than_the_limit_stop_the_job_and_leave_events_unchanged(store, tmp_path):
    run(store, write_source(tmp_path, [event(1)]), now=NOW)
    bad = [event(2), event(3, price="ten"), event(4, price="two"), event(5, event_type="x")]
    message = (
        r"75.0% of 4 rows rejected \(limit 50.0%\): 2 × price is not a number, "
        r"1 × event_type without a mapping; nothing was added to events"
    )
    with pytest.raises(InputError, match=message):
        run(store, write_source(tmp_path, bad), now=NOW)
    assert store.read(EVENTS).count() == 1
    assert store.read(REJECTED_EVENTS).count() == 3


@pytest.mark.slow
def test_a_user_faster_than_a_person_loses_all_events_even_stored_ones(store, tmp_path):
    def burst(first: int, last: int) -> list[dict]:
        return [event(n, "bot", event_ts="2026-01-01 10:00:30") for n in range(first, last)]

    limits = {"max_events_per_minute": 10, "max_rejected_share": 1.0}
    run(store, write_source(tmp_path, [event(50), *burst(0, 8)], **limits), now=NOW)
    assert store.read(EVENTS).count() == 9
    run(store, write_source(tmp_path, [event(51), *burst(8, 16)], **limits), now=NOW)
    assert sorted(r["event_id"] for r in store.read(EVENTS).collect()) == ["e50", "e51"]
    reasons = {r["reasons"][0] for r in store.read(REJECTED_EVENTS).collect()}
    assert reasons == {"more events in a minute than a person makes: 16"}


def test_nothing_is_ingested_without_a_key(store, tmp_path, monkeypatch):
    monkeypatch.delenv("PROFILE_PSEUDONYM_KEY", raising=False)
    with pytest.raises(InputError, match="PROFILE_PSEUDONYM_KEY is not set"):
        run(store, write_source(tmp_path, RAW_EVENTS, pseudonym_key=None), now=NOW)
    assert not store.exists(EVENTS)
