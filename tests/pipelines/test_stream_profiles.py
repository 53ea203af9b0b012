"""A stream ends where a refresh of the same events does, whatever comes twice, late or between."""

import json
import shutil
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines import stream_profiles
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.pipelines.stream_profiles import ProfileStream
from profile_lib.pipelines.stream_queries import RunningQuery, watch_queries
from profile_lib.profiles.stream_progress import StreamProgress
from profile_lib.tables import EVENTS, ITEMS, REJECTED_EVENTS, USER_PROFILES, USERS
from profile_lib.tables.features import NUMERIC_FEATURES
from profile_lib.tables.profiles import PENDING_INPUT
from tests.agreement import agree
from tests.shops import generate_batches, write_batch
from tests.small_shop import (
    event,
    frame,
    new_shop,
    profiles,
    save_plain_model,
    shop_settings,
)


@pytest.fixture
def shop(refreshed, tmp_path) -> tuple[Store, Settings]:
    store, given = refreshed
    return store, at(given, tmp_path / "checkpoint")


def refresh_from_scratch(store: Store, given: Settings, folder: Path) -> dict[str, dict]:
    """What a refresh into an empty table says of the same events, items and users."""
    fresh = Store(store.spark, str(folder))
    for table in (EVENTS, ITEMS, USERS):
        fresh.append(table, store.read(table))
    ProfileRefresher(fresh, given, load_served_model(given)).catch_up()
    return profiles(fresh)


def at(given: Settings, checkpoint: Path) -> Settings:
    changes = {"stream.checkpoint": str(checkpoint), "stream.state_partitions": 1}
    return with_values(given, changes)


@contextmanager
def streaming(store: Store, given: Settings):
    """A stream that begins where a refresh ends, and its query."""
    model = load_served_model(given)
    refresh = ProfileRefresher(store, given, model)
    refresh.catch_up()
    progress = StreamProgress(60, given.stream.max_lag_seconds)
    stream = ProfileStream(store, given, model, refresh.source_versions.events, progress)
    query = stream.start(once=False).query
    try:
        query.processAllAvailable()
        yield stream, query
    finally:
        query.stop()


def append(store: Store, *events: tuple) -> None:
    """As a writer does who minds no key."""
    frame(store, EVENTS, list(events)).write.format("delta").mode("append").save(store.path(EVENTS))


def versions(store: Store) -> dict[str, int]:
    rows = store.read(USER_PROFILES).select("user_id", "events_version").collect()
    return dict(map(tuple, rows))


def test_late_duplicated_corrected_and_deleted_events_end_in_what_a_full_refresh_says(
    spark, tmp_path
):
    store, given = new_shop(spark, tmp_path)
    shops = [generate_batches(number, seed=number) for number in range(40)]
    known = {}
    write_batch(store, [next(shop) for shop in shops], known)
    with streaming(store, at(given, tmp_path / "checkpoint")) as (_, query):
        for together in islice(zip(*shops, strict=True), 2):
            # Another catalogue alone reaches profiles by a refresh.
            write_batch(store, [b._replace(items={}, users={}) for b in together], known)
            query.processAllAvailable()
    assert agree(profiles(store), refresh_from_scratch(store, given, tmp_path / "full"))


def test_twice_in_a_batch_is_once_and_what_is_older_takes_its_place_with_an_optimize_between(shop):
    store, given = shop
    store.max_attempts = 8
    twice = event(7, "ann", 50, "cart", "tee", 0)
    with streaming(store, given) as (_, query):
        before = versions(store)
        append(store, twice, twice)
        store.compact(USER_PROFILES, 2**20)
        store.compact(EVENTS, 2**20)
        query.processAllAvailable()
        append(store, event(8, "ann", -60, "purchase", "mug", 500))
        query.processAllAvailable()
    (ann,) = (p for p in profiles(store).values() if p["user_id"] == "ann")
    assert [e["event_type"] for e in ann["recent"]] == ["cart", "view", "purchase"]
    assert ann["n_orders"] == 1
    assert versions(store) == before | {"ann": store.version(EVENTS)}  # nobody else was computed


def test_a_batch_computes_a_users_state_once_and_leaves_no_more_files_than_it_is_to(shop):
    store, given = shop
    changes = {"stream.state_partitions": 2, "stream.compact_batches": 1}
    with streaming(store, with_values(given, changes)) as (_, query):
        append(store, *(event(10, user, 50, "cart", "tee", 0) for user in ("ann", "bob")))
        query.processAllAvailable()
    (batch,) = (told for told in query.recentProgress[1:] if told["numInputRows"])
    assert [state["numRowsUpdated"] for state in batch["stateOperators"]] == [2]
    assert store.files(USER_PROFILES).count() == given.refresh.user_buckets


def test_two_streams_in_one_session_end_in_the_same_profiles(shop, tmp_path):
    store, given = shop
    store.max_attempts = 8
    other = at(given, tmp_path / "other")
    items = enumerate(["tee", "mug", "pen"])
    with streaming(store, given) as (_, one), streaming(store, other) as (_, two):
        append(store, *(event(10 + n, "ann", 50 + n, "cart", item, 0) for n, item in items))
        for query in (one, two):
            query.processAllAvailable()
    ann = profiles(store)["ann"]
    assert [e["item_id"] for e in ann["recent"]] == ["pen", "mug", "tee", "tee"]


def test_a_stream_whose_checkpoint_was_reset_counts_nothing_twice(shop, tmp_path):
    store, given = shop
    with streaming(store, given) as (_, query):
        append(store, event(7, "ann", 50, "cart", "tee", 0))
        query.processAllAvailable()
    written = store.version(USER_PROFILES)
    shutil.rmtree(given.stream.checkpoint)
    append(store, event(8, "bob", 60, "cart", "tee", 0))
    with streaming(store, given) as (_, query):
        assert store.version(USER_PROFILES) == written + 1  # the refresh's; the stream's is none
        append(store, event(9, "bob", 70, "view", "mug", 0))
        query.processAllAvailable()
    n_recent = {user: len(p["recent"]) for user, p in profiles(store).items()}
    assert n_recent == dict.fromkeys(n_recent, 1) | {"ann": 2, "bob": 3}


def test_who_has_no_time_with_the_model_is_marked_keeps_the_old_guesses_and_is_next(shop, tmp_path):
    store, given = shop
    no_time = with_values(given, {"stream.encoder_seconds": 0.0})
    with streaming(store, no_time) as (stream, query):
        before = profiles(store)["ann"]
        append(store, event(7, "ann", 50, "cart", "tee", 0), event(8, "eve", 1, "view", "tee", 0))
        query.processAllAvailable()
        after = profiles(store)
        assert stream.n_pending == 2
        assert len(after["ann"]["recent"]) == 2
        assert after["ann"]["pending_input"]["text"] != ""
        assert after["ann"]["propensities"] == before["propensities"] != {}
        assert after["eve"]["propensities"] == {}
        stream.settings = with_values(given, {"stream.max_pending_per_batch": 1})
        append(store, event(9, "bob", 51, "cart", "tee", 0))
        query.processAllAvailable()
        assert stream.n_pending == 1  # eve knows of the least, and was taken up with bob
        assert profiles(store)["ann"]["pending_input"] is not None

        def catch_up() -> None:
            stream.drain()
            if not stream.n_pending:
                query.stop()

        watch_queries(
            [RunningQuery(query, [])], stream.progress, catch_up
        )  # no data comes any more
    counted = stream.progress.registry.get_sample_value
    assert counted("profiles_stream_events_total") == 12 + 2 + 1
    assert counted("profiles_stream_batch_seconds_count") == 3
    assert agree(profiles(store), refresh_from_scratch(store, given, tmp_path / "full"))


def test_what_a_refresh_has_said_of_the_same_events_is_not_put_back(shop, tmp_path):
    """The facts of who awaits the model are those of before: a newer model said more since."""
    store, given = shop
    model = load_served_model(given)
    stream = ProfileStream(store, given, model, store.version(EVENTS), StreamProgress(60, 60))
    store.upsert(USER_PROFILES, waiting(store, "ann", "bob"))
    queued = stream._pending_facts(store).localCheckpoint()
    through = waiting(store, "ann").withColumn("pending_input", F.lit(None).cast(PENDING_INPUT))
    store.upsert(USER_PROFILES, through)
    refreshed = profiles(store)["ann"]
    stream._write(store, queued.withColumn("n_orders", F.lit(9).cast("long")))
    found = profiles(store)
    assert found["ann"] == refreshed
    assert (found["bob"]["n_orders"], found["bob"]["pending_input"]) == (9, None)


def waiting(store: Store, *users: str) -> DataFrame:
    """The profiles of users as they are, marked."""
    numeric = F.array([F.lit(0.0)] * len(NUMERIC_FEATURES))
    told = {"text": F.lit("view blue tee"), "numeric": numeric}
    mark = F.struct(
        *[
            told.get(f.name, F.lit(None)).cast(f.dataType).alias(f.name)
            for f in PENDING_INPUT.fields
        ]
    )
    return (
        store.read(USER_PROFILES)
        .where(F.col("user_id").isin(*users))
        .withColumn("pending_input", mark)
    )


def test_a_model_that_is_replaced_under_the_stream_is_refused(shop, tmp_path):
    store, given = shop
    model = load_served_model(given)
    stream = ProfileStream(store, given, model, store.version(EVENTS), StreamProgress(60, 60))
    save_plain_model(tmp_path / "models" / given.training.name, seed=1)
    with pytest.raises(InputError, match=r"the model was replaced; start the stream again"):
        watch_queries([stream.start(once=True)], stream.progress, lambda: None)


MAPPING = """
name: clicks
inputs: {events: {format: jsonl, column_types: {id: string, who: string, at: string, what: string}}}
columns: {event_id: id, user_id: who, event_ts: at, ingest_ts: at, event_type: what}
event_types: {view: view, cart: cart}
"""


def test_a_shop_begins_with_its_stream_where_a_poison_event_is_rejected_and_it_goes_on(
    store, tmp_path
):
    given = shop_settings(tmp_path)
    save_plain_model(tmp_path / "models" / given.training.name)
    (tmp_path / "clicks.yaml").write_text(MAPPING)
    landing = tmp_path / "landing"
    landing.mkdir()
    given = with_values(
        at(given, tmp_path / "checkpoint"),
        {
            "stream.source": "files",
            "ingest.mapping": str(tmp_path / "clicks.yaml"),
            "ingest.inputs": {"events": str(landing)},
        },
    )

    def land(name: str, *lines: str) -> None:
        (tmp_path / name).write_text("\n".join(lines))
        (tmp_path / name).rename(landing / name)  # whole or not at all

    def click(number: int, what: str) -> str:
        return json.dumps(
            {"id": f"e{number}", "who": "ann", "at": f"2026-01-10 10:0{number}:00", "what": what}
        )

    land("1.json", click(1, "view"), '{"id": "torn', "garbage", click(2, "teleport"))
    stream_profiles.run(store, given, once=True)
    land("2.json", click(1, "view"), click(3, "cart"))
    given = with_values(given, {"stream.metrics_port": 0})
    stream_profiles.run(store, given, once=True)
    (ann,) = profiles(store).values()
    assert [e["event_type"] for e in ann["recent"]] == ["cart", "view"]
    reasons = {reason for row in store.read(REJECTED_EVENTS).collect() for reason in row["reasons"]}
    assert {"user_id is null", "event_type without a mapping: teleport"} <= reasons
