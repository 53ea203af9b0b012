"""Ingestion links the ids of a person, in any order of batches, where something changed."""

import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from profile_lib.config.people import PeopleSettings
from profile_lib.delta.merge import deletion_rows
from profile_lib.delta.store import Store
from profile_lib.events.identity_links import IS_NEW_EVIDENCE, merged_evidence
from profile_lib.events.suppression import build_tokens
from profile_lib.people.persons import add_person
from profile_lib.pipelines.event_source import read_key
from profile_lib.pipelines.ingest_events import run
from profile_lib.pipelines.link_people import find_people_changes, rebuild_people, update_people
from profile_lib.tables import (
    DATA_QUALITY,
    EVENTS,
    IDENTITY,
    IDENTITY_LINKS,
    PEOPLE,
    SUPPRESSED_IDS,
    USERS,
)
from profile_lib.tables.people import LOGIN, RULE, SOURCE
from tests.people.link_rows import link
from tests.pipelines.raw_shop import event, shop_settings, to_lines, write_events
from tests.worlds import NOW

NAMES = ("user_id", "event_ts", "event_type", "item_id", "device_id", "anonymous_id")
MAPPING = {
    "inputs": {name: {"format": "jsonl"} for name in ("events", "users", "links.json")},
    "columns": {name: name for name in NAMES},
    "links": {
        "input": "links.json", "user_id": "account", "other_id": "old_account",
        "other_kind": "user", "linked_ts": "at", "undone_ts": "undone",
    },
}  # fmt: skip
DAY_1 = [
    event(1, None, anonymous_id="c-1"),
    event(2, "ann", anonymous_id="c-1", device_id="-"),
    event(3, "null", device_id="tablet"),
    event(4, "ann", device_id="tablet"),
    event(5, None, device_id="0"),
    event(6, "bob", anonymous_id="c-2"),
]
DAY_2 = [
    event(7, "bob", day=2, device_id="tablet"),
    event(8, None, day=2, device_id="tablet"),
    event(9, None, day=3, device_id="tablet"),
    event(10, "bill", day=3, anonymous_id="c-3"),
]


def write_links_file(folder, *links: dict) -> None:
    file = folder / "raw" / "links.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in links), encoding="utf-8")


def read_people(store) -> list[tuple[str, str, str]]:
    """Return each event's raw id, time and the raw id of its person."""
    names = store.read(IDENTITY).select("user_id", "raw_id")
    persons = names.toDF("person_id", "person")
    found = add_person(store.read(EVENTS), store.read(PEOPLE)).join(names, "user_id")
    found = found.join(persons, "person_id").orderBy("event_ts", "raw_id")
    return [
        (row["raw_id"], f"{row['event_ts']:%d %H:%M}", row["person"]) for row in found.collect()
    ]


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """Three days of a shop, and the people after each of them."""
    folder = tmp_path_factory.mktemp("people")
    settings = shop_settings(
        folder, MAPPING, placeholder_ids=["null", "-", "0"], max_rejected_share=1
    )
    store = Store(spark, f"{folder}/tables")
    states = []
    write_links_file(folder, {"account": "eve", "old_account": "eva", "at": "2026-01-01T00:00:00Z"})
    write_events(folder, "1.json", DAY_1)
    run(store, settings, now=NOW)
    states.append(read_people(store))
    joined = {"account": "bob", "old_account": "bill", "at": "2026-01-02T00:00:00Z", "undone": None}
    write_links_file(folder, joined)
    write_events(folder, "2.json", DAY_2, day=3)
    run(store, settings, now=NOW)
    states.append(read_people(store))
    version = store.version(PEOPLE)
    write_links_file(folder, joined | {"undone": "2026-01-05T00:00:00Z"})
    run(store, settings, now=NOW)  # no new events
    states.append(read_people(store))
    return store, settings, states, version


def test_events_before_a_login_count_for_the_person_who_logged_in(shop):
    assert shop[2][0] == [
        ("c-1", "01 10:01", "ann"),
        ("ann", "01 10:02", "ann"),
        ("tablet", "01 10:03", "ann"),  # the login "null" means nobody
        ("ann", "01 10:04", "ann"),
        ("bob", "01 10:06", "bob"),
    ]
    issues = shop[0].read(DATA_QUALITY).where("field IN ('user_id', 'device_id')")
    counts = issues.groupBy("field", "rule").agg(F.sum("n_rows")).collect()
    assert sorted(tuple(row) for row in counts) == [
        ("device_id", "placeholder", 2), ("user_id", "missing", 1), ("user_id", "placeholder", 1),
    ]  # fmt: skip


def test_a_device_becomes_shared_and_a_sources_link_joins_two_logins_until_it_is_undone(shop):
    before = [("c-1", "ann"), ("ann", "ann"), ("tablet", "ann"), ("ann", "ann"), ("bob", "bob")]
    later = [("bob", "bob"), ("tablet", "bob"), ("tablet", "tablet"), ("bill", "bob")]
    assert [(raw, person) for raw, _, person in shop[2][1]] == before + later
    apart = [*later[:-1], ("bill", "bill")]
    assert [(raw, person) for raw, _, person in shop[2][2]] == before + apart


def test_the_people_whose_ids_changed_are_named_by_the_change_feed(shop):
    store, _, _, version = shop
    names = store.read(IDENTITY).select(F.col("user_id").alias("person_id"), "raw_id")
    changed = find_people_changes(store, version).join(names, "person_id")
    assert {row["raw_id"] for row in changed.collect()} == {"bob", "bill"}


def test_a_rebuild_and_a_repeated_run_change_nothing(shop):
    store, settings, _, _ = shop
    versions = [store.version(table) for table in (IDENTITY_LINKS, PEOPLE)]
    rebuild_people(store, settings.people)
    run(store, settings, now=NOW)
    assert [store.version(table) for table in (IDENTITY_LINKS, PEOPLE)] == versions


def test_people_follow_the_rules_of_the_settings(spark, tmp_path):
    store = Store(spark, str(tmp_path))
    links = [link(f"{user} v1", 1, kind=RULE, source="emails") for user in ("u1", "u2")]
    store.upsert(IDENTITY_LINKS, spark.createDataFrame(links, IDENTITY_LINKS.schema))

    def find_people(**rules: dict) -> list[tuple[str, str]]:
        settings = PeopleSettings(
            max_ids=4,
            max_users_per_device=2,
            shared_window_minutes=30,
            use_probable=False,
            rules=rules,
        )
        update_people(store, settings)
        return [(row["user_id"], row["person_id"]) for row in store.read(PEOPLE).collect()]

    assert find_people(emails={"fact": "email"}) == [("u2", "u1")]
    assert find_people(emails={"fact": "email", "is_probable": True}) == []
    assert find_people(emails={"fact": "email"}) == [("u2", "u1")]
    assert find_people() == []


def test_ids_of_devices_have_a_space_of_their_own_and_users_like_all_others(shop):
    store = shop[0]
    spaces = {row["raw_id"]: row["source"] for row in store.read(IDENTITY).collect()}
    assert spaces["tablet"] == "shop:device"
    assert spaces["c-1"] == "shop:anonymous"
    assert spaces["ann"] == "shop"
    seen = store.read(USERS).join(store.read(IDENTITY), "user_id").where("raw_id = 'c-1'").first()
    assert f"{seen['first_seen_ts']:%d %H:%M}" == "01 10:01"


@pytest.mark.trial
def test_no_link_and_no_event_of_others_names_an_id_of_an_erased_person(shop):
    store, settings, _, _ = shop
    ids = {row["raw_id"]: row["user_id"] for row in store.read(IDENTITY).collect()}
    erased = {name: ids[name] for name in ("ann", "c-1", "tablet")}
    users = store.spark.createDataFrame([(user,) for user in erased.values()], "user_id string")
    store.replace(SUPPRESSED_IDS, build_tokens(users, read_key(settings.ingest)))
    for table in (EVENTS, IDENTITY_LINKS):
        store.replace(table, store.read(table).limit(0))
    folder = Path(settings.ingest.inputs["events"]).parents[1]
    write_links_file(folder, {"account": "zoe", "old_account": "ann", "at": "2026-01-01T00:00:00Z"})
    lines = [
        event(20, "bob", anonymous_id="c-1", device_id="phone"),
        event(21, None, anonymous_id="c-1"),
        event(22, None, device_id="tablet", anonymous_id="c-9"),
    ]
    write_events(folder, "4.json", lines)
    run(store, settings, now=NOW)
    events = store.read(EVENTS).orderBy("event_ts").collect()
    assert [row["user_id"] for row in events] == [ids["bob"]]
    assert events[0]["anonymous_id"] is None
    assert events[0]["device_id"] is not None
    links = store.read(IDENTITY_LINKS).collect()
    assert {row["user_id"] for row in links} == {ids["bob"]}
    assert not {row["other_id"] for row in links} & set(erased.values())


@pytest.mark.slow
def test_batches_of_links_in_any_order_and_split_leave_the_same_people(spark, tmp_path):
    """Incremental updates equal a full computation, cell for cell."""
    rng = random.Random(5)
    settings = PeopleSettings(
        max_ids=4,
        max_users_per_device=2,
        shared_window_minutes=30,
        use_probable=False,
        rules={},
    )
    ids = [f"{kind}{n}" for kind in "uuda" for n in range(12)]
    links = {}
    for n in range(60):
        user, other = rng.sample(ids, 2)
        if (user[0] == "u") < (other[0] == "u"):
            user, other = other, user
        is_source = other[0] == "u" or rng.random() < 0.1
        undone = rng.random() * 60 if rng.random() < 0.3 and is_source else None
        kind = SOURCE if is_source else LOGIN
        row = link(f"{user} {other}", n, kind=kind, undone=undone)
        links[row[:7]] = row
    rows, span = list(links.values()), timedelta(minutes=5)
    more = [(*row[:7], row[7] - span, row[8] + span, row[9] - span, row[10]) for row in rows[::3]]
    stores = []
    for order, batches in enumerate(([rows[::2], rows[1::2], more], [more, rows[::-1]])):
        store = Store(spark, f"{tmp_path}/{order}")
        for batch in batches:
            frame = spark.createDataFrame(batch, IDENTITY_LINKS.schema)
            store.upsert(
                IDENTITY_LINKS, frame, guard=IS_NEW_EVIDENCE, update_values=merged_evidence()
            )
            update_people(store, settings)
        stores.append(store)
    first, second = (to_lines(store.read(PEOPLE)) for store in stores)
    assert first == second
    assert len(first) > 10
    # The links of an erased person are removed, and the people who lose them are computed again.
    person = stores[0].read(PEOPLE).orderBy("person_id").first()["person_id"]
    erased = stores[0].read(IDENTITY_LINKS).where(f"'{person}' IN (user_id, other_id)")
    stores[0].upsert(
        IDENTITY_LINKS, deletion_rows(IDENTITY_LINKS, erased.select(*IDENTITY_LINKS.key))
    )
    version = stores[0].version(PEOPLE)
    update_people(stores[0], settings)
    assert stores[0].version(PEOPLE) == version + 1
    rebuild_people(stores[0], settings)
    assert stores[0].version(PEOPLE) == version + 1  # the rebuild found nothing to change
