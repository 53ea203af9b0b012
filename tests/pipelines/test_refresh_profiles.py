"""Check that incremental refreshes end in the profiles of a full one, and write only changes."""

import shutil
from datetime import date

import hypothesis
import pytest
from hypothesis import strategies as st

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines import refresh_profiles
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import check_numeric_features, load_served_model
from profile_lib.tables import (
    EVENTS,
    PROFILE_REFRESH_STATE,
    TABLES,
    USER_HISTORIES_STATE,
    USER_PROFILES,
)
from profile_lib.tables.features import NUMERIC_FEATURES
from tests.agreement import agree
from tests.shops import generate_batches, write_batch
from tests.small_shop import (
    VERSION_COLUMN,
    event,
    frame,
    new_shop,
    read_profiles,
    save_plain_model,
    write_events,
)
from tests.worlds import NOW, dev_settings

N_SHOPS, N_BATCHES = 200, 3


@pytest.fixture
def shop(spark, tmp_path) -> tuple[Store, Settings]:
    return new_shop(spark, tmp_path)


def refresh(store: Store, settings: Settings) -> None:
    """Refresh as the job does, without recording the history."""
    ProfileRefresher(store, settings, load_served_model(settings)).catch_up()


def test_only_changed_users_are_computed_and_users_without_events_are_deleted(refreshed):
    store, settings = refreshed
    first_version = store.version(EVENTS)
    before = read_profiles(store)
    write_events(store, [event(9, "ann", 50, "cart", "tee", 0)])
    write_events(store, [event(101, "bob", 1, "view", "tee", 0)], deleted=True)
    refresh(store, settings)
    rows = {row["user_id"]: row[VERSION_COLUMN] for row in store.read(USER_PROFILES).collect()}
    unchanged = dict.fromkeys(before.keys() - {"bob"}, first_version)
    assert rows == unchanged | {"ann": store.version(EVENTS)}
    assert read_profiles(store)["ann"]["recent"][0]["event_type"] == "cart"


def test_a_refresh_without_changes_writes_nothing(refreshed):
    store, settings = refreshed
    tables = [table for table in TABLES if store.exists(table)]
    before = [store.version(table) for table in tables]
    refresh_profiles.run(store, settings, now=NOW)
    assert [store.version(table) for table in tables] == before
    store.compact(EVENTS, 2**20)  # a commit that changes no row
    refresh_profiles.run(store, settings, now=NOW)
    changed = {
        table.name
        for table, version in zip(tables, before, strict=True)
        if store.version(table) != version
    }
    states = {PROFILE_REFRESH_STATE.name, USER_HISTORIES_STATE.name}
    assert changed == {EVENTS.name} | states


@pytest.mark.slow
def test_a_new_model_computes_all_profiles_and_an_interrupted_run_continues(
    refreshed, monkeypatch, tmp_path, caplog
):
    store, settings = refreshed
    old_versions = {row["model_version"] for row in store.read(USER_PROFILES).collect()}
    save_plain_model(tmp_path / "models" / settings.training.name, seed=1)
    settings = with_values(settings, {"refresh.buckets_per_chunk": 1})
    write_states = ProfileRefresher.write_states

    def write_once_and_fail(self, buckets):
        write_states(self, buckets)
        raise InputError("interrupted")

    monkeypatch.setattr(ProfileRefresher, "write_states", write_once_and_fail)
    with pytest.raises(InputError, match="interrupted"):
        refresh_profiles.run(store, settings, now=NOW)
    monkeypatch.undo()
    by_bucket = {r["user_bucket"]: r["model_version"] for r in store.read(USER_PROFILES).collect()}
    assert by_bucket[1] in old_versions
    assert by_bucket[0] not in old_versions
    refresh_profiles.run(store, settings, now=NOW)
    assert "1 of 1 buckets" in caplog.text
    versions = {row["model_version"] for row in store.read(USER_PROFILES).collect()}
    assert versions == {by_bucket[0]}


@pytest.mark.trial
def test_with_another_number_of_buckets_every_user_still_has_one_profile(refreshed, tmp_path):
    store, _ = refreshed
    refresh(store, dev_settings(tmp_path, "refresh.user_buckets=1"))
    assert {profile["user_bucket"] for profile in read_profiles(store).values()} == {0}
    refresh(store, dev_settings(tmp_path, "refresh.user_buckets=2", "refresh.buckets_per_chunk=2"))
    profiles = read_profiles(store)
    assert len(profiles) == 12
    assert {profile["user_bucket"] for profile in profiles.values()} == {0, 1}


@pytest.mark.slow
def test_without_a_change_feed_all_profiles_are_computed(refreshed):
    store, settings = refreshed
    before = set(read_profiles(store))
    path = store.path(EVENTS)
    store.spark.sql(
        f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES (delta.enableChangeDataFeed=false)"
    )
    new = frame(store, EVENTS, [event(1, "eve", 1, "view", "tee", 0)])
    new.write.format("delta").mode("append").save(path)
    refresh(store, settings)
    assert set(read_profiles(store)) == before | {"eve"}


@pytest.mark.slow
def test_recreated_tables_are_refused_and_a_rebuild_reads_them(refreshed):
    """The versions of a recreated table start again, so no profile would look outdated."""
    store, settings = refreshed
    events = [event(200, "ann", 90, "cart", "mug", 0), event(201, "eve", 1, "view", "tee", 0)]
    shutil.rmtree(store.path(EVENTS))
    write_events(store, events)
    with pytest.raises(InputError, match="events, items or users were recreated .* --rebuild"):
        refresh(store, settings)
    refresh_profiles.run(store, settings, rebuild=True, now=NOW)
    assert set(read_profiles(store)) == {"ann", "eve"}
    version = store.version(USER_PROFILES)
    refresh(store, settings)
    assert store.version(USER_PROFILES) == version


@pytest.mark.slow
def test_profiles_that_were_moved_away_are_computed_again_despite_their_refresh_state(refreshed):
    store, settings = refreshed
    before = read_profiles(store)
    shutil.rmtree(store.path(USER_PROFILES))
    refresh(store, with_values(settings, {"refresh.buckets_per_chunk": 1}))
    assert agree(read_profiles(store), before)


def test_a_table_of_an_older_schema_is_refused_with_the_command_that_rebuilds_it(shop):
    store, settings = shop
    write_events(store, [event(0, "ann", 0, "view", "tee", 0)])
    old = store.spark.createDataFrame([("ann", 0)], "user_id string, user_bucket int")
    old.write.format("delta").partitionBy("user_bucket").save(store.path(USER_PROFILES))
    with pytest.raises(InputError, match=r"has an older schema.*refresh_profiles.py.*--rebuild"):
        refresh_profiles.run(store, settings, now=NOW)
    refresh_profiles.run(store, settings, rebuild=True, now=NOW)
    assert read_profiles(store)["ann"]["segment"] == "passer-by"


def test_a_model_with_other_numeric_features_than_behaviour_is_refused():
    names = [column.name for column in NUMERIC_FEATURES]
    check_numeric_features("models/m", names)
    with pytest.raises(InputError, match=r"models/m: .* they differ: weekday; features were added"):
        check_numeric_features("models/m", names[:-1])
    with pytest.raises(InputError, match="they differ: in order;"):
        check_numeric_features("models/m", names[::-1])


def test_a_model_that_reads_fewer_numbers_than_behaviour_holds_serves_no_profile(
    refreshed, monkeypatch, tmp_path
):
    store, settings = refreshed
    version = store.version(USER_PROFILES)
    monkeypatch.setattr("tests.small_shop.NUMERIC_FEATURES", list(NUMERIC_FEATURES)[:-1])
    save_plain_model(tmp_path / "models" / settings.training.name, seed=1)
    with pytest.raises(InputError, match="they differ: weekday; features were added or removed"):
        refresh_profiles.run(store, settings, now=NOW)
    assert store.version(USER_PROFILES) == version


def test_a_day_computes_the_users_whose_events_were_loaded_on_it_whenever_they_arrived(refreshed):
    store, settings = refreshed
    load_date = EVENTS.column_names().index("load_date")
    late, in_time = (
        list(event(number, user, 50, "cart", "tee", 0))
        for number, user in ((9, "ann"), (10, "bob"))
    )
    late[load_date] = date(2026, 3, 1)
    write_events(store, [tuple(late), tuple(in_time)])
    refresh_profiles.run(store, settings, date(2026, 3, 1), now=NOW)
    profiles = read_profiles(store)
    assert profiles["ann"]["recent"][0]["event_type"] == "cart"
    assert profiles["bob"]["recent"][0]["event_type"] == "view"


def test_changed_code_computes_all_profiles_again(refreshed, monkeypatch):
    store, settings = refreshed
    module = "profile_lib.pipelines.serving_model"
    monkeypatch.setattr(f"{module}.find_profile_version", lambda: 77)
    refresh(store, settings)
    assert {profile["profile_version"] for profile in read_profiles(store).values()} == {77}


@pytest.mark.trial
@hypothesis.settings(max_examples=1, deadline=None, phases=[hypothesis.Phase.generate])
@hypothesis.given(
    seeds=st.lists(st.integers(0, 2**32), min_size=N_SHOPS, max_size=N_SHOPS, unique=True)
)
def test_any_sequence_of_batches_ends_in_the_profiles_of_a_full_refresh(
    spark, tmp_path_factory, seeds
):
    """Each seed is a shop of four users with late, repeated, corrected and deleted events and with
    changes of items and users. All shops share one store, so that few refreshes serve them all.
    """
    store, settings = new_shop(spark, tmp_path_factory.mktemp("shops"))
    shops, written = [generate_batches(number, seed) for number, seed in enumerate(seeds)], {}
    for _ in range(N_BATCHES):
        write_batch(store, [next(shop) for shop in shops], written)
        refresh(store, settings)
    incremental = group_by_shop(read_profiles(store))
    ProfileRefresher(store, settings, load_served_model(settings)).rebuild()
    full = group_by_shop(read_profiles(store))
    assert len(full) > 0.9 * N_SHOPS
    shop_names = incremental | full
    assert [s for s in shop_names if not agree(incremental.get(s), full.get(s))] == []


def group_by_shop(profiles: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Group profiles by shop: a user id starts with the name of its shop."""
    shops: dict[str, dict[str, dict]] = {}
    for user, profile in profiles.items():
        shops.setdefault(user.partition("u")[0], {})[user] = profile
    return shops
