"""Check that ingestion gives the same tables in any order, repeated or day by day."""

import os
import random
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.ingest_events import run
from profile_lib.tables import (
    DATA_QUALITY,
    EVENTS,
    IDENTITY,
    IDENTITY_LINKS,
    INGESTED_FILES,
    ITEMS,
    REJECTED_EVENTS,
    USERS,
)
from tests.pipelines.raw_shop import (
    MAPPING,
    burst,
    event,
    read_tables,
    shop_settings,
    to_lines,
    write_events,
)
from tests.worlds import NOW

USERS_AND_DAYS = [("ann", 1), ("bob", 1), ("ann", 2)] * 4
RAW_EVENTS = [
    *[event(number, user, day) for number, (user, day) in enumerate(USERS_AND_DAYS)],
    event(20, "cat@example.org", 2, event_type="buy"),
    event(21, "cat@example.org", 2, event_type="teleport"),
    event(22, None, 2),
    event(23, "ann", 2, price="ten"),
    event(24, "undefined", 2),
    event(25, "ann", 2, user_agent="Googlebot/2.1"),
    event(26, "ann", 2, event_type="heartbeat"),
    event(4, "ann", 2),  # an id of bob, too
    event(0, "ann", 1),
]
N_EVENTS = 15


def write_days(folder: Path, events: list[dict]) -> None:
    """Write the events of each day to a file of its own, which arrived on that day."""
    for day in (1, 2):
        of_day = [raw for raw in events if raw["event_ts"].startswith(f"2026-01-0{day}")]
        write_events(folder, f"{day}.json", of_day, day)


@pytest.fixture(scope="module")
def ingested(spark, tmp_path_factory) -> tuple[Store, Settings]:
    """Ingest all raw events at once."""
    folder = tmp_path_factory.mktemp("at_once")
    write_days(folder, RAW_EVENTS)
    store, settings = Store(spark, str(folder / "tables")), shop_settings(folder)
    run(store, settings, now=NOW)
    return store, settings


def copy_of(ingested: tuple[Store, Settings], folder: Path) -> tuple[Store, Path]:
    """Return a copy of the tables and of the raw files that a test may change."""
    root = Path(ingested[0].root).parent
    shutil.copytree(root, folder, dirs_exist_ok=True)
    return Store(ingested[0].spark, str(folder / "tables")), folder


def test_a_batch_becomes_events_items_users_and_rejected_rows(ingested):
    store, _ = ingested
    events = store.read(EVENTS)
    assert events.count() == N_EVENTS
    assert events.where("event_type = 'purchase'").count() == 1
    assert events.where("price IS NULL").count() == 1
    assert {row["load_date"] for row in events.collect()} == {NOW.date()}
    assert store.read(ITEMS).orderBy("item_id").first()["title"] == "Title 0"
    declared = {row["age_band"] for row in store.read(USERS).collect()}
    assert declared == {"25-34", "55+", None}  # zoe has no events yet
    rejected = store.read(REJECTED_EVENTS).orderBy("row_number").collect()
    assert [(row["reasons"], row["row_number"]) for row in rejected] == [
        (["event_type:not_mapped"], 5),
        (["user_id:missing"], 6),
        (["user_id:placeholder"], 8),
        (["bot:user_agent"], 9),
    ]


def test_each_row_that_was_read_is_counted_once_by_what_became_of_it(ingested):
    counts = {
        f"{row['field']}:{row['rule']}".strip(":"): row["n_rows"]
        for row in ingested[0].read(DATA_QUALITY).collect()
    }
    assert counts == {
        "read": 21, "kept": N_EVENTS, "rejected": 4, "left_out": 1, "duplicate": 1, "known": 0,
        "event_type:not_mapped": 1, "user_id:missing": 1, "user_id:placeholder": 1,
        "bot:user_agent": 1, "price:not_a_number": 1,
    }  # fmt: skip


def test_the_files_of_a_batch_are_in_the_ledger_with_the_id_of_its_counts(ingested):
    store, _ = ingested
    files = store.read(INGESTED_FILES).orderBy("path").collect()
    assert [(Path(row["path"]).name, row["status"], row["input"]) for row in files] == [
        ("1.json", "read", "events"),
        ("2.json", "read", "events"),
    ]
    assert {row["batch_id"] for row in files} == {
        row["batch_id"] for row in store.read(DATA_QUALITY).collect()
    }
    assert {row["load_date"] for row in files} == {NOW.date()}


def test_a_source_without_ids_of_devices_writes_no_links(ingested):
    assert not ingested[0].exists(IDENTITY_LINKS)


def test_the_raw_id_is_stored_only_in_the_identity_table(ingested):
    tables = read_tables(ingested[0])
    assert "cat@example.org" in "".join(tables.pop("identity"))
    assert "cat@example.org" not in "".join(line for lines in tables.values() for line in lines)


def test_ingesting_the_same_files_again_adds_nothing(ingested, caplog):
    store, settings = ingested
    before = store.version(EVENTS)
    run(store, settings, now=NOW)
    assert store.version(EVENTS) == before
    assert "shop: nothing arrived" in caplog.text


def test_a_day_without_files_writes_nothing_and_is_reported(store, tmp_path, caplog):
    write_days(tmp_path, RAW_EVENTS)
    run(store, shop_settings(tmp_path), date(2026, 1, 9), now=NOW)
    assert "shop: nothing arrived on 2026-01-09" in caplog.text
    assert not store.exists(EVENTS)


def test_an_hour_without_events_is_done_and_changes_no_table(store, tmp_path, caplog):
    write_events(tmp_path, "empty.json", [])
    (tmp_path / "raw" / "events" / "blank.json").write_text("\n \n")
    run(store, shop_settings(tmp_path), now=NOW)
    assert not store.exists(EVENTS)
    run(store, shop_settings(tmp_path), now=NOW)
    assert "shop: nothing arrived" in caplog.text


def test_an_export_of_the_past_is_reported(store, tmp_path, caplog):
    old = write_events(tmp_path, "old.json", [event(1), event(2)], day=1)
    arrived = datetime(2026, 2, 2, tzinfo=UTC).timestamp()
    os.utime(old, (arrived, arrived))
    write_events(tmp_path, "new.json", [event(3)], day=1)
    run(store, shop_settings(tmp_path), now=NOW)
    assert "2 of 3 rows arrived more than 31 days after they happened" in caplog.text
    caplog.clear()
    write_events(tmp_path, "next.json", [event(4)], day=2)
    run(store, shop_settings(tmp_path), now=NOW)
    assert "arrived more than" not in caplog.text


def test_nothing_is_ingested_without_a_key(store, tmp_path, monkeypatch):
    monkeypatch.delenv("PROFILE_PSEUDONYM_KEY", raising=False)
    write_days(tmp_path, RAW_EVENTS)
    with pytest.raises(InputError, match="PROFILE_PSEUDONYM_KEY is not set"):
        run(store, shop_settings(tmp_path, pseudonym_key=None), now=NOW)
    assert not store.exists(EVENTS)


@pytest.mark.trial
def test_rows_in_another_order_and_repeated_ones_give_the_same_tables(ingested, store, tmp_path):
    raw_events = RAW_EVENTS + RAW_EVENTS[:9]
    random.Random(1).shuffle(raw_events)
    write_events(tmp_path, "all.json", raw_events)
    run(store, shop_settings(tmp_path), now=NOW)
    assert tables_without_order(store) == tables_without_order(ingested[0])


@pytest.mark.slow
def test_ingesting_the_days_backwards_gives_the_same_tables_as_all_at_once(
    ingested, store, tmp_path
):
    write_days(tmp_path, RAW_EVENTS)
    settings = shop_settings(tmp_path)
    for day in (2, 1):
        run(store, settings, date(2026, 1, day), now=NOW)
    assert tables_without_order(store) == tables_without_order(ingested[0])
    loaded = store.read(EVENTS).groupBy("load_date").count().orderBy("load_date").collect()
    assert [tuple(row) for row in loaded] == [(date(2026, 1, 1), 8), (date(2026, 1, 2), 7)]


def tables_without_order(store: Store) -> dict[str, list[str]]:
    """Read the tables without the places of rows and the times of files."""
    tables = {
        name: store.read_or_empty(table).drop("sequence", "row_id", "declared")
        for name, table in [("events", EVENTS), ("users", USERS), ("identity", IDENTITY)]
    }
    tables["items"] = store.read(ITEMS).select("item_id", "title", "price")
    tables["rejected"] = store.read(REJECTED_EVENTS).select("reasons", "user_id", "event_id")
    return {name: to_lines(frame) for name, frame in tables.items()}


@pytest.mark.slow
def test_the_same_file_under_another_name_adds_nothing(ingested, tmp_path, caplog):
    store, folder = copy_of(ingested, tmp_path)
    raw = folder / "raw" / "events"
    shutil.copyfile(raw / "1.json", raw / "copy.json")
    before = store.version(EVENTS)
    # The copied tables list the files of the first folder, so that all paths here are new.
    run(store, shop_settings(folder), now=NOW)
    assert store.version(EVENTS) == before
    statuses = store.read(INGESTED_FILES).where(f"path LIKE '%{tmp_path}%'").collect()
    assert {Path(row["path"]).name: row["status"] for row in statuses} == {
        "1.json": "copy",
        "2.json": "copy",
        "copy.json": "copy",
    }
    assert "3 files are copies of others; not read again" in caplog.text


@pytest.mark.trial
def test_a_file_that_grew_is_reported_and_read_again_without_doubling_events(
    store, tmp_path, caplog
):
    write_events(tmp_path, "log.json", [event(1), event(2, id=None)])
    run(store, shop_settings(tmp_path), now=NOW)
    path = write_events(tmp_path, "log.json", [event(1), event(2, id=None), event(3)], day=2)
    run(store, shop_settings(tmp_path), now=NOW)
    assert store.read(EVENTS).count() == 3
    changed = f"1 files changed after they were ingested, and are read again: file:{path}"
    assert f"shop.columns: {changed}" in caplog.text
    statuses = store.read(INGESTED_FILES).orderBy("modified_ts").select("status").collect()
    assert [status for (status,) in statuses] == ["read", "changed"]
    known = store.read(DATA_QUALITY).where("rule = 'known'").orderBy("n_rows").collect()
    assert [row["n_rows"] for row in known] == [0, 2]


@pytest.mark.slow
def test_a_stored_event_that_arrives_again_with_another_date_is_unchanged(ingested, tmp_path):
    store, folder = copy_of(ingested, tmp_path)
    again = event(0, "ann", 2, event_ts="2026-01-02 00:00:03")
    write_events(folder, "3.json", [again, event(30, "ann", 3)], day=3)
    run(store, shop_settings(folder), now=NOW)
    dates = store.read(EVENTS).groupBy("event_date").count().orderBy("event_date").collect()
    assert [tuple(row) for row in dates] == [
        (date(2026, 1, 1), 8),
        (date(2026, 1, 2), 7),
        (date(2026, 1, 3), 1),
    ]


@pytest.mark.trial
def test_an_id_that_two_users_share_is_two_events_in_two_runs(store, tmp_path):
    settings = shop_settings(tmp_path)
    write_events(tmp_path, "a.json", [event(7, "ann")])
    run(store, settings, now=NOW)
    write_events(tmp_path, "b.json", [event(7, "bob", event_type="buy")])
    run(store, settings, now=NOW)
    rows = store.read(EVENTS).select("event_type", "user_id", "event_id").collect()
    assert sorted(row["event_type"] for row in rows) == ["purchase", "view"]
    assert len({row["event_id"] for row in rows}) == len({row["user_id"] for row in rows}) == 2


@pytest.mark.trial
def test_events_keep_their_ids_if_a_column_is_mapped_later_and_a_lookup_arrives_later(
    store, tmp_path
):
    lookup = {"input": "people", "join_keys": {"user_id": "id"}, "columns": ["city"]}
    inputs = MAPPING["inputs"] | {"people": {"format": "csv"}}
    rows = [event(n, id=None) for n in range(3)]
    people = tmp_path / "raw" / "people"
    people.parent.mkdir()
    people.write_text("id,city\nbob,Oslo\n")
    write_events(tmp_path, "1.json", rows)
    run(store, shop_settings(tmp_path, {"inputs": inputs, "lookups": [lookup]}), now=NOW)
    before = {row["event_id"] for row in store.read(EVENTS).collect()}
    people.write_text("id,city\nann,Rome\n")
    write_events(tmp_path, "1.json", [*rows, event(3, id=None)])
    columns = MAPPING["columns"] | {"region": "city", "channel": "'web'"}
    later = {"inputs": inputs, "lookups": [lookup], "columns": columns}
    run(store, shop_settings(tmp_path, later), now=NOW)
    events = {row["event_id"]: row["region"] for row in store.read(EVENTS).collect()}
    assert len(events) == 4
    assert before < set(events)
    assert [events[event_id] for event_id in set(events) - before] == ["Rome"]


@pytest.mark.slow
def test_more_rejections_than_the_limit_stop_the_job_and_leave_events_unchanged(store, tmp_path):
    settings = shop_settings(tmp_path)
    write_events(tmp_path, "1.json", [event(1)])
    run(store, settings, now=NOW)
    bad = [
        event(2),
        event(3, event_ts="soon"),
        event(4, event_ts="12:30"),
        event(5, event_type="x"),
    ]
    write_events(tmp_path, "2.json", bad)
    message = (
        r"75.0% of 4 rows rejected \(limit 50.0%\): 2 × event_ts:not_a_time, "
        r"1 × event_type:not_mapped; nothing was added to events"
    )
    for _ in range(2):  # the files are not in the ledger, so that they are read again
        with pytest.raises(InputError, match=message):
            run(store, settings, now=NOW)
    assert store.read(EVENTS).count() == 1
    assert store.read(REJECTED_EVENTS).count() == 3
    rejected = store.read(DATA_QUALITY).where("rule = 'rejected'").orderBy("n_rows").collect()
    assert [row["n_rows"] for row in rejected] == [0, 3]


@pytest.mark.slow
def test_a_rule_with_a_limit_of_its_own_stops_the_job_by_name(store, tmp_path):
    write_events(tmp_path, "1.json", [event(1), event(2, price="ten"), event(3, price="two")])
    settings = shop_settings(tmp_path, max_shares={"price:not_a_number": 0.5})
    with pytest.raises(InputError) as error:
        run(store, settings, now=NOW)
    assert str(error.value) == (
        "events: 66.7% of 3 rows have price:not_a_number (limit 50.0%); nothing was added to "
        "events; fix the source or its mapping, or raise ingest.max_shares.price:not_a_number"
    )


@pytest.mark.slow
def test_robots_and_ids_of_nobody_do_not_count_towards_the_rejected_share(store, tmp_path):
    rows = [event(1), *burst(0, 8), *[event(n, "undefined") for n in range(20, 30)]]
    rows += [event(n, "kiosk") for n in range(30, 36)]
    write_events(tmp_path, "1.json", rows)
    limits = {"max_rejected_share": 0.0, "max_events_per_minute": 5, "max_user_share": 0.55}
    settings = shop_settings(tmp_path, min_rows_for_share=15, **limits)
    run(store, settings, now=NOW)
    assert store.read(EVENTS).count() == 7
    reasons = store.read(REJECTED_EVENTS).groupBy("reasons").count().orderBy("reasons").collect()
    assert [(row["reasons"], row["count"]) for row in reasons] == [
        (["bot:events_per_minute"], 8),
        (["user_id:placeholder"], 10),
    ]


@pytest.mark.slow
def test_an_id_with_too_many_events_of_a_batch_is_rejected_as_nobodys(store, tmp_path):
    people = [event(n, f"user {n}") for n in range(12)]
    write_events(tmp_path, "1.json", people + [event(n, "kiosk") for n in range(20, 40)])
    settings = shop_settings(tmp_path, max_user_share=0.5, min_rows_for_share=32)
    run(store, settings, now=NOW)
    assert store.read(EVENTS).count() == 12
    reasons = store.read(REJECTED_EVENTS).select("reasons").distinct().collect()
    assert [row["reasons"] for row in reasons] == [["user_id:too_frequent"]]


@pytest.mark.slow
def test_a_user_faster_than_a_person_loses_the_minute_even_stored_events_until_limits_rise(
    store, tmp_path
):
    limits = {"max_events_per_minute": 10, "max_rejected_share": 1.0}
    write_events(tmp_path, "1.json", [event(50), event(58, "robot"), *burst(0, 8)])
    run(store, shop_settings(tmp_path, **limits), now=NOW)
    assert store.read(EVENTS).count() == 10
    write_events(tmp_path, "2.json", [event(51), *burst(8, 16)])
    run(store, shop_settings(tmp_path, **limits), now=NOW)
    minutes = {row["event_ts"].minute for row in store.read(EVENTS).collect()}
    assert minutes == {50, 51, 58}  # the robot's other minute stays
    reasons = store.read(REJECTED_EVENTS).select("reasons").collect()
    assert [row["reasons"] for row in reasons] == [["bot:events_per_minute"]] * 16
    write_events(tmp_path, "3.json", [event(52)])
    run(store, shop_settings(tmp_path, **limits | {"max_events_per_minute": 20}), now=NOW)
    assert store.read(EVENTS).count() == 20
    assert store.read(REJECTED_EVENTS).count() == 0
