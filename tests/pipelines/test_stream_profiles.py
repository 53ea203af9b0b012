"""Check that a stream ends in the profiles of a refresh, even after late or changed events."""

import json
import shutil
import time
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
from profile_lib.pipelines.person_data import NO_PEOPLE
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.pipelines.stream_profiles import ProfileStream
from profile_lib.pipelines.stream_queries import RunningQuery, finished_batches, watch_queries
from profile_lib.profiles.refresh_state import SourceVersions
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
    read_profiles,
    save_plain_model,
    shop_settings,
    write_events,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(refreshed, tmp_path) -> tuple[Store, Settings]:
    store, settings = refreshed
    return store, with_checkpoint(settings, tmp_path / "checkpoint")


def with_checkpoint(settings: Settings, checkpoint: Path) -> Settings:
    """Return settings of a stream with this checkpoint."""
    return with_values(settings, {"stream.checkpoint": str(checkpoint)})


def refresh_from_scratch(store: Store, settings: Settings, folder: Path) -> dict[str, dict]:
    """Compute all profiles of the same events, items and users in an empty store."""
    fresh = Store(store.spark, str(folder))
    for table in (EVENTS, ITEMS, USERS):
        fresh.append(table, store.read(table))
    ProfileRefresher(fresh, settings, load_served_model(settings)).catch_up()
    return read_profiles(fresh)


def profile_stream(store: Store, settings: Settings) -> ProfileStream:
    """Return a stream that starts at the current version of events."""
    model, progress = load_served_model(settings), StreamProgress(60, 60)
    refreshed = SourceVersions(store.version(EVENTS), 0, 0, NO_PEOPLE)
    return ProfileStream(store, settings, model, refreshed, progress, time.time)


@contextmanager
def streaming(store: Store, settings: Settings):
    """Refresh, then run a stream while the body runs; yields the stream and its query."""
    model = load_served_model(settings)
    refresh = ProfileRefresher(store, settings, model)
    refresh.catch_up()
    progress = StreamProgress(60, settings.stream.max_lag_seconds)
    stream = ProfileStream(store, settings, model, refresh.source_versions, progress, time.time)
    query = stream.start(once=False).query
    try:
        query.processAllAvailable()
        yield stream, query
    finally:
        query.stop()


def append(store: Store, *events: tuple) -> None:
    """Append events without comparing their keys with those in the table."""
    frame(store, EVENTS, list(events)).write.format("delta").mode("append").save(store.path(EVENTS))


def versions_by_user(store: Store) -> dict[str, int]:
    rows = store.read(USER_PROFILES).select("user_id", "events_version").collect()
    return dict(map(tuple, rows))


@pytest.mark.trial
def test_late_repeated_corrected_and_deleted_events_end_in_the_profiles_of_a_full_refresh(
    spark, tmp_path
):
    store, settings = new_shop(spark, tmp_path)
    shops = [generate_batches(number, seed=number) for number in range(40)]
    written = {}
    write_batch(store, [next(shop) for shop in shops], written)
    with streaming(store, with_checkpoint(settings, tmp_path / "checkpoint")) as (_, query):
        for batches in islice(zip(*shops, strict=True), 2):
            # Changes of the catalog without events reach profiles only by a refresh.
            write_batch(store, [b._replace(items={}, users={}) for b in batches], written)
            query.processAllAvailable()
    assert agree(read_profiles(store), refresh_from_scratch(store, settings, tmp_path / "full"))


def test_a_repeated_event_counts_once_and_a_late_one_is_sorted_in_despite_compactions(shop):
    store, settings = shop
    store.max_attempts = 8
    cart = event(7, "ann", 50, "cart", "tee", 0)
    with streaming(store, settings) as (_, query):
        before = versions_by_user(store)
        for _ in range(2):
            write_events(store, [cart])
        store.compact(USER_PROFILES, 2**20)
        store.compact(EVENTS, 2**20)
        query.processAllAvailable()
        append(store, event(8, "ann", -60, "purchase", "mug", 500))
        query.processAllAvailable()
    ann = read_profiles(store)["ann"]
    assert [e["event_type"] for e in ann["recent"]] == ["cart", "view", "purchase"]
    assert ann["n_orders"] == 1
    # No profile of another user was computed.
    assert versions_by_user(store) == before | {"ann": store.version(EVENTS)}


def test_a_batch_computes_each_user_once_and_compacts_the_files_of_profiles(shop):
    store, settings = shop
    with streaming(store, with_values(settings, {"stream.compact_batches": 1})) as (stream, query):
        append(store, *(event(10, user, 50, "cart", "tee", 0) for user in ("ann", "bob")))
        query.processAllAvailable()
    (batch,) = (b for b in finished_batches(query, after=0) if b["numInputRows"])
    assert batch["stateOperators"] == []  # the stream itself holds no events
    assert store.files(USER_PROFILES).count() == settings.refresh.user_buckets


def test_two_streams_in_one_session_end_in_the_same_profiles(shop, tmp_path):
    store, settings = shop
    store.max_attempts = 8
    other = with_checkpoint(settings, tmp_path / "other")
    items = enumerate(["tee", "mug", "pen"])
    with streaming(store, settings) as (_, one), streaming(store, other) as (_, two):
        append(store, *(event(10 + n, "ann", 50 + n, "cart", item, 0) for n, item in items))
        for query in (one, two):
            query.processAllAvailable()
    ann = read_profiles(store)["ann"]
    assert [e["item_id"] for e in ann["recent"]] == ["pen", "mug", "tee", "tee"]


@pytest.mark.trial
def test_a_stream_with_a_new_checkpoint_counts_no_event_twice(shop):
    store, settings = shop
    with streaming(store, settings) as (_, query):
        append(store, event(7, "ann", 50, "cart", "tee", 0))
        query.processAllAvailable()
    version = store.version(USER_PROFILES)
    shutil.rmtree(settings.stream.checkpoint)
    append(store, event(8, "bob", 60, "cart", "tee", 0))
    with streaming(store, settings) as (_, query):
        assert store.version(USER_PROFILES) == version + 1  # by the refresh alone
        append(store, event(9, "bob", 70, "view", "mug", 0))
        query.processAllAvailable()
    n_recent = {user: len(profile["recent"]) for user, profile in read_profiles(store).items()}
    assert n_recent == dict.fromkeys(n_recent, 1) | {"ann": 2, "bob": 3}


@pytest.mark.trial
def test_users_for_whom_the_model_has_no_time_keep_old_predictions_until_a_later_batch(
    shop, tmp_path
):
    store, settings = shop
    no_time = with_values(settings, {"stream.encoder_seconds": 0.0})
    with streaming(store, no_time) as (stream, query):
        before = read_profiles(store)["ann"]
        append(store, event(7, "ann", 50, "cart", "tee", 0), event(8, "eve", 1, "view", "tee", 0))
        query.processAllAvailable()
        after = read_profiles(store)
        assert stream.n_pending == 2
        assert len(after["ann"]["recent"]) == 2
        assert after["ann"]["pending_input"]["text"] != ""
        assert after["ann"]["propensities"] == before["propensities"] != {}
        assert after["eve"]["propensities"] == {}
        stream.settings = with_values(settings, {"stream.max_pending_per_batch": 1})
        append(store, event(9, "bob", 51, "cart", "tee", 0))
        query.processAllAvailable()
        assert stream.n_pending == 1  # eve, whose facts are the oldest, was computed with bob
        assert read_profiles(store)["ann"]["pending_input"] is not None

        def drain_and_stop() -> None:
            stream.drain()
            if not stream.n_pending:
                query.stop()

        watch_queries([RunningQuery(query, [])], stream.progress, drain_and_stop)  # without data
    sample = stream.progress.registry.get_sample_value
    assert sample("profiles_stream_events_total") == 12 + 2 + 1
    assert sample("profiles_stream_batch_seconds_count") == 3
    assert agree(read_profiles(store), refresh_from_scratch(store, settings, tmp_path / "full"))


def test_a_pending_row_does_not_overwrite_a_profile_that_a_refresh_has_completed(shop):
    """The refresh of the same events may use a newer model than the pending row."""
    store, settings = shop
    stream = profile_stream(store, settings)
    store.upsert(USER_PROFILES, pending_profiles(store, "ann", "bob"))
    pending = stream._select_pending_facts(store).localCheckpoint()
    not_pending = F.lit(None).cast(PENDING_INPUT)
    completed = pending_profiles(store, "ann").withColumn("pending_input", not_pending)
    store.upsert(USER_PROFILES, completed)
    refreshed = read_profiles(store)["ann"]
    stream._write(store, pending.withColumn("n_orders", F.lit(9).cast("long")))
    profiles = read_profiles(store)
    assert profiles["ann"] == refreshed
    assert (profiles["bob"]["n_orders"], profiles["bob"]["pending_input"]) == (9, None)


def pending_profiles(store: Store, *users: str) -> DataFrame:
    """Return the stored profiles of users with an input that waits for the model."""
    numeric = F.array([F.lit(0.0)] * len(NUMERIC_FEATURES))
    values = {"text": F.lit("view blue tee"), "numeric": numeric}
    pending_input = F.struct(
        *[
            values.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name)
            for field in PENDING_INPUT.fields
        ]
    )
    return (
        store.read(USER_PROFILES)
        .where(F.col("user_id").isin(*users))
        .withColumn("pending_input", pending_input)
    )


def test_a_stream_refuses_to_continue_after_its_model_was_replaced(shop, tmp_path):
    store, settings = shop
    stream = profile_stream(store, settings)
    save_plain_model(tmp_path / "models" / settings.training.name, seed=1)
    with pytest.raises(InputError, match=r"the model was replaced by .*; start the stream again"):
        watch_queries([stream.start(once=True)], stream.progress, lambda: None)


MAPPING = """
name: clicks
inputs: {events: {format: jsonl, column_types: {id: string, who: string, at: string, what: string}}}
columns: {user_id: who, event_ts: at, ingest_ts: at, event_type: what}
id_columns: [id]
event_types: {view: view, cart: cart}
"""


def new_shop_settings(folder: Path, mapping: str) -> Settings:
    """Save a model and a mapping; return settings of a stream that ingests what lands."""
    settings = shop_settings(folder)
    save_plain_model(folder / "models" / settings.training.name)
    (folder / "clicks.yaml").write_text(mapping)
    changes = {
        "stream.source": "files",
        "ingest.mapping": str(folder / "clicks.yaml"),
        "ingest.inputs": {"events": str(folder / "landing")},
    }
    return with_values(with_checkpoint(settings, folder / "checkpoint"), changes)


def test_a_stream_waits_for_its_table_and_checks_the_columns_once_it_exists(
    store, tmp_path, monkeypatch
):
    settings = new_shop_settings(tmp_path, MAPPING.replace("jsonl", "delta"))
    stream_profiles.run(store, settings, once=True, clock=time.time)
    assert store.read(EVENTS).isEmpty()
    catch_up = ProfileRefresher.catch_up

    def catch_up_and_make_table(refresher: ProfileRefresher) -> None:
        catch_up(refresher)
        store.spark.range(1).write.format("delta").save(f"{tmp_path}/landing")

    monkeypatch.setattr(ProfileRefresher, "catch_up", catch_up_and_make_table)
    with pytest.raises(InputError) as error:
        stream_profiles.run(store, settings, clock=time.time)
    assert str(error.value) == (
        f"clicks.columns.user_id: {tmp_path}/landing has no column who; it has: id"
    )
    assert store.spark.streams.active == []


def test_a_new_shop_can_start_with_its_stream_and_rejects_invalid_events(store, tmp_path):
    settings = new_shop_settings(tmp_path, MAPPING)
    landing = tmp_path / "landing"
    landing.mkdir()

    def land(name: str, *lines: str) -> None:
        (tmp_path / name).write_text("\n".join(lines))
        (tmp_path / name).rename(landing / name)  # atomically, so that no reader sees half a file

    def click(number: int, kind: str) -> str:
        return json.dumps(
            {"id": f"e{number}", "who": "ann", "at": f"2026-01-10 10:0{number}:00", "what": kind}
        )

    land("1.json", click(1, "view"), '{"id": "torn', "garbage", click(2, "teleport"))
    stream_profiles.run(store, settings, once=True, clock=time.time)
    land("2.json", click(1, "view"), click(3, "cart"))
    settings = with_values(settings, {"stream.metrics_port": 0})
    stream_profiles.run(store, settings, once=True, clock=time.time)
    (ann,) = read_profiles(store).values()
    assert [e["event_type"] for e in ann["recent"]] == ["cart", "view"]
    reasons = {reason for row in store.read(REJECTED_EVENTS).collect() for reason in row["reasons"]}
    assert reasons == {"not_json", "event_type:not_mapped"}
