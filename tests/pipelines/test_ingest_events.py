"""Ingestion: twice is once, in any order, day by day; what is refused leaves nothing behind."""

import json
import random
import shutil
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml
from pyspark.sql import DataFrame

from profile_lib.config.settings import Settings, load_settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.validation import find_impossible_rates
from profile_lib.pipelines.ingest_events import run
from profile_lib.tables import EVENTS, IDENTITY, ITEMS, REJECTED_EVENTS, USERS

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
DECLARED = [{"user_id": "ann", "age": "25-34"}, {"user_id": "zoe", "age": "55+"}]


def click(number: int, user: str | None = "ann", day: int = 1, **more: object) -> dict:
    given = {
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
    return given | more


def shop(folder: Path, clicks: list[dict], **ingest: object) -> Settings:
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    for name, lines in (("events", clicks), ("users", DECLARED)):
        text = "\n".join(json.dumps(line) for line in lines)
        (raw / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "shop.yaml").write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    given = {
        "mapping": str(folder / "shop.yaml"),
        "inputs": {name: str(raw / f"{name}.json") for name in ("events", "users")},
        "pseudonym_key": "a key of the tests",
        "max_rejected_share": 0.5,
        "latest": "2026-02-01",
    }
    overrides = [f"ingest.{key}={json.dumps(value)}" for key, value in (given | ingest).items()]
    return load_settings("conf/dev.yaml", overrides)


def rows(frame: DataFrame) -> list[str]:
    return sorted(json.dumps(r.asDict(recursive=True), default=str) for r in frame.collect())


def tables(store: Store) -> dict[str, list[str]]:
    kept = (EVENTS, ITEMS, USERS, IDENTITY, REJECTED_EVENTS)
    return {table.name: rows(store.read_or_empty(table)) for table in kept}


USERS_AND_DAYS = [("ann", 1), ("bob", 1), ("ann", 2)] * 4
CLICKS = [
    *[click(number, user, day) for number, (user, day) in enumerate(USERS_AND_DAYS)],
    click(20, "cat@example.org", 2, event_type="buy"),
    click(21, "cat@example.org", 2, event_type="teleport"),
    click(22, None, 2),
    click(23, "ann", 2, price="ten"),
]


@pytest.fixture(scope="module")
def ingested(spark, tmp_path_factory) -> tuple[Store, Settings]:
    """All clicks after one ingestion."""
    folder = tmp_path_factory.mktemp("at_once")
    store, settings = Store(spark, str(folder / "tables")), shop(folder, CLICKS)
    run(store, settings)
    return store, settings


def test_a_batch_becomes_events_items_users_and_rejected_rows(ingested):
    store, _ = ingested
    events = store.read(EVENTS)
    assert events.count() == 13
    assert events.where("event_type = 'purchase'").count() == 1
    assert store.read(ITEMS).orderBy("item_id").first()["title"] == "Title 0"
    declared = {r["age_band"] for r in store.read(USERS).collect()}
    assert declared == {"25-34", None}  # of zoe nothing was seen
    reasons = [r["reasons"] for r in store.read(REJECTED_EVENTS).orderBy("reasons").collect()]
    assert reasons == [
        ["event_type without a mapping: teleport"],
        ["price is not a number: ten"],
        ["user_id is null"],
    ]


def test_the_raw_id_is_stored_only_in_the_identity_table(ingested):
    told = tables(ingested[0])
    assert "cat@example.org" in "".join(told.pop("identity"))
    assert "cat@example.org" not in "".join(line for lines in told.values() for line in lines)


def test_the_same_file_twice_adds_nothing(ingested):
    store, settings = ingested
    before = tables(store)
    run(store, settings)
    assert tables(store) == before


def test_an_event_that_comes_again_as_of_another_day_stays_as_it_was(ingested, spark, tmp_path):
    store = Store(spark, shutil.copytree(ingested[0].root, tmp_path / "tables").as_posix())
    again = click(0, "ann", 1, event_ts="2026-01-02 00:00:03", ingest_ts="2026-01-03 12:00:00")
    run(store, shop(tmp_path, [again, click(30, "ann", 3)]))
    events = store.read(EVENTS)
    assert events.count() == 14
    assert events.where("event_id = 'e0'").select("event_date").collect() == [(date(2026, 1, 1),)]


def test_any_order_and_duplication_of_rows_gives_the_same_tables(ingested, store, tmp_path):
    clicks = CLICKS + CLICKS[3:9]
    random.Random(1).shuffle(clicks)
    run(store, shop(tmp_path, clicks))
    assert tables(store) == tables(ingested[0])


def test_day_by_day_backwards_is_the_same_as_at_once(ingested, store):
    _, settings = ingested
    for day in (2, 1):
        run(store, settings, date(2026, 1, day))
    assert tables(store) == tables(ingested[0])


def test_a_day_without_events_writes_nothing_and_is_reported(store, tmp_path, capsys):
    run(store, shop(tmp_path, CLICKS), date(2026, 1, 9))
    assert "nothing arrived on 2026-01-09; nothing written" in capsys.readouterr().out
    assert not store.exists(EVENTS)


def test_more_rejections_than_the_limit_stop_the_job_and_leave_events_unchanged(store, tmp_path):
    run(store, shop(tmp_path, [click(1)]))
    bad = [click(2), click(3, price="ten"), click(4, price="two"), click(5, event_type="x")]
    wanted = (
        r"75.0% of 4 rows rejected \(limit 50.0%\): 2 × price is not a number, "
        r"1 × event_type without a mapping; nothing was added to events"
    )
    with pytest.raises(InputError, match=wanted):
        run(store, shop(tmp_path, bad))
    assert store.read(EVENTS).count() == 1
    assert store.read(REJECTED_EVENTS).count() == 3


def test_a_user_faster_than_a_person_is_rejected_with_earlier_events(store, tmp_path):
    def fast(first: int, last: int) -> list[dict]:
        return [click(n, "bot", event_ts="2026-01-01 10:00:30") for n in range(first, last)]

    limits = {"max_events_per_minute": 10, "max_rejected_share": 1.0}
    run(store, shop(tmp_path, [click(50), *fast(0, 8)], **limits))
    assert store.read(EVENTS).count() == 9
    run(store, shop(tmp_path, [click(51), *fast(8, 16)], **limits))
    assert sorted(r["event_id"] for r in store.read(EVENTS).collect()) == ["e50", "e51"]
    reasons = {r["reasons"][0] for r in store.read(REJECTED_EVENTS).collect()}
    assert reasons == {"more events in a minute than a person makes: 16"}


def test_without_a_key_nothing_is_read(store, tmp_path, monkeypatch):
    monkeypatch.delenv("PROFILE_PSEUDONYM_KEY", raising=False)
    with pytest.raises(InputError, match="PROFILE_PSEUDONYM_KEY is not set"):
        run(store, shop(tmp_path, CLICKS, pseudonym_key=None))
    assert not store.exists(EVENTS)


def test_the_lines_of_one_order_are_one_act_however_many(spark):
    ts = datetime(2026, 1, 1, 10)
    log = [("ann", f"a{n}", ts, ts.date(), "order 1") for n in range(9)]
    log += [("bob", f"b{n}", ts, ts.date(), f"order {n}") for n in range(9)]
    seen = spark.createDataFrame(
        log, "user_id string, event_id string, event_ts timestamp, event_date date, order_id string"
    )
    found = find_impossible_rates(seen, 5, 100).collect()
    assert [(r["user_id"], r["rate_reason"]) for r in found] == [
        ("bob", "more events in a minute than a person makes: 9")
    ]
