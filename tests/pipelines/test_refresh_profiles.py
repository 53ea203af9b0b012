"""Incremental refreshes end where a full one does, write nothing for nothing, and go on."""

import shutil

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines import refresh_profiles
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.tables import EVENTS, PROFILE_REFRESH_STATE, TABLES, USER_PROFILES
from tests.agreement import agree
from tests.shops import generate_batches, write_batch
from tests.small_shop import (
    VERSION_COLUMN,
    event,
    frame,
    new_shop,
    profiles,
    save_plain_model,
    write,
)
from tests.worlds import dev_settings

SHOPS, BATCHES = 200, 3


@pytest.fixture
def shop(spark, tmp_path) -> tuple[Store, Settings]:
    return new_shop(spark, tmp_path)


def refresh(store: Store, given: Settings) -> None:
    """As the job does it, but for the history."""
    ProfileRefresher(store, given, load_served_model(given)).catch_up()


def test_only_those_of_whom_something_changed_are_computed_and_who_has_no_events_goes(refreshed):
    store, given = refreshed
    first = store.version(EVENTS)
    known = profiles(store)
    write(store, [event(9, "ann", 50, "cart", "tee", 0)])
    write(store, [event(101, "bob", 1, "view", "tee", 0)], deleted=True)
    refresh(store, given)
    rows = {r["user_id"]: r[VERSION_COLUMN] for r in store.read(USER_PROFILES).collect()}
    assert rows == dict.fromkeys(known.keys() - {"bob"}, first) | {"ann": store.version(EVENTS)}
    assert profiles(store)["ann"]["recent"][0]["event_type"] == "cart"


def test_where_nothing_is_new_nothing_is_written(refreshed):
    store, given = refreshed
    tables = [table for table in TABLES if store.exists(table)]
    before = [store.version(table) for table in tables]
    refresh_profiles.run(store, given)
    assert [store.version(table) for table in tables] == before
    store.compact(EVENTS, 2**20)  # a commit that changes no row
    refresh_profiles.run(store, given)
    moved = {t.name for t, b in zip(tables, before, strict=True) if store.version(t) != b}
    assert moved == {EVENTS.name, PROFILE_REFRESH_STATE.name}


def test_a_new_model_computes_all_and_a_run_that_was_broken_off_goes_on(
    refreshed, monkeypatch, tmp_path, caplog
):
    store, given = refreshed
    old = {r["model_version"] for r in store.read(USER_PROFILES).collect()}
    save_plain_model(tmp_path / "models" / given.training.name, seed=1)
    given = with_values(given, {"refresh.buckets_per_chunk": 1})
    write_states = ProfileRefresher.write_states

    def write_once_and_fail(self, buckets):
        write_states(self, buckets)
        raise InputError("the power went")

    monkeypatch.setattr(ProfileRefresher, "write_states", write_once_and_fail)
    with pytest.raises(InputError, match="the power went"):
        refresh_profiles.run(store, given)
    monkeypatch.undo()
    half = {r["user_bucket"]: r["model_version"] for r in store.read(USER_PROFILES).collect()}
    assert half[1] in old
    assert half[0] not in old
    caplog.set_level("INFO", "profile_lib")
    refresh_profiles.run(store, given)
    assert "user_profiles: 1 of 1 buckets rebuilt" in caplog.text
    assert {r["model_version"] for r in store.read(USER_PROFILES).collect()} == {half[0]}


def test_another_number_of_buckets_leaves_every_user_one_profile(refreshed, tmp_path):
    store, _ = refreshed
    fewer = dev_settings(tmp_path, "refresh.user_buckets=1")
    refresh(store, fewer)
    assert {p["user_bucket"] for p in profiles(store).values()} == {0}
    more = dev_settings(tmp_path, "refresh.user_buckets=2", "refresh.buckets_per_chunk=2")
    refresh(store, more)  # as it was before
    assert len(profiles(store)) == 12
    assert {p["user_bucket"] for p in profiles(store).values()} == {0, 1}


def test_a_feed_that_does_not_reach_back_computes_all(refreshed):
    store, given = refreshed
    known = set(profiles(store))
    path = store.path(EVENTS)
    store.spark.sql(
        f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES (delta.enableChangeDataFeed=false)"
    )
    new = frame(store, EVENTS, [event(1, "eve", 1, "view", "tee", 0)])
    new.write.format("delta").mode("append").save(path)
    refresh(store, given)
    assert set(profiles(store)) == known | {"eve"}


def test_tables_made_anew_are_told_and_a_rebuild_takes_them(refreshed):
    """Their versions begin anew, so that no profile would be seen to know more."""
    store, given = refreshed
    events = [event(200, "ann", 90, "cart", "mug", 0), event(201, "eve", 1, "view", "tee", 0)]
    shutil.rmtree(store.path(EVENTS))
    write(store, events)
    with pytest.raises(InputError, match="events, items or users were recreated .* --rebuild"):
        refresh(store, given)
    refresh_profiles.run(store, given, rebuild=True)
    assert set(profiles(store)) == {"ann", "eve"}
    version = store.version(USER_PROFILES)
    refresh(store, given)
    assert store.version(USER_PROFILES) == version


def test_profiles_that_were_moved_away_are_computed_all_though_their_notes_are_there(refreshed):
    store, given = refreshed
    known = profiles(store)
    shutil.rmtree(store.path(USER_PROFILES))
    refresh(store, with_values(given, {"refresh.buckets_per_chunk": 1}))
    assert agree(profiles(store), known)


def test_a_table_of_an_older_shape_is_refused_with_the_command_and_rebuilt_by_it(shop):
    store, given = shop
    write(store, [event(0, "ann", 0, "view", "tee", 0)])
    old = store.spark.createDataFrame([("ann", 0)], "user_id string, user_bucket int")
    old.write.format("delta").partitionBy("user_bucket").save(store.path(USER_PROFILES))
    with pytest.raises(InputError, match=r"has an older shape.*refresh_profiles.py.*--rebuild"):
        refresh_profiles.run(store, given)
    refresh_profiles.run(store, given, rebuild=True)
    assert profiles(store)["ann"]["segment"] == "passer-by"


@settings(max_examples=1, deadline=None, phases=[Phase.generate])
@given(seeds=st.lists(st.integers(0, 2**32), min_size=SHOPS, max_size=SHOPS, unique=True))
def test_any_sequence_of_batches_ends_in_what_a_full_refresh_says(spark, tmp_path_factory, seeds):
    """A case is a shop of four users, with late, repeated, corrected and deleted events and changes
    of its items and users; many stand side by side in one store, so that few refreshes serve all.
    """
    store, given = new_shop(spark, tmp_path_factory.mktemp("shops"))
    shops, known = [generate_batches(number, seed) for number, seed in enumerate(seeds)], {}
    for _ in range(BATCHES):
        write_batch(store, [next(shop) for shop in shops], known)
        refresh(store, given)
    found = by_shop(profiles(store))
    ProfileRefresher(store, given, load_served_model(given)).rebuild()
    wanted = by_shop(profiles(store))
    assert len(wanted) > 0.9 * SHOPS
    assert [shop for shop in found | wanted if not agree(found.get(shop), wanted.get(shop))] == []


def by_shop(found: dict[str, dict]) -> dict[str, dict[str, dict]]:
    shops: dict[str, dict[str, dict]] = {}
    for user, profile in found.items():
        shops.setdefault(user.partition("u")[0], {})[user] = profile
    return shops
