"""Check that every commit of profiles is recorded once, whenever the job runs."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from profile_lib.errors import InputError
from profile_lib.pipelines.record_history import record_history
from profile_lib.profiles.history import select_profile_as_of
from profile_lib.tables import USER_PROFILES, USER_PROFILES_HISTORY
from tests.worlds import profile_row

ONE_YEAR = timedelta(days=365)


@pytest.fixture
def put(store, rows):
    """A function that upserts profiles by user=n_orders, or deletes them by user=None.

    It returns the time of the commit.
    """

    def put_profiles(**orders):
        source = rows(
            f"struct<{USER_PROFILES.schema.simpleString()[7:-1]},is_deleted:boolean>",
            *((*profile_row(u, n_orders=n or 0), n is None) for u, n in orders.items()),
        )
        store.upsert(USER_PROFILES, source)
        return store.commit_time(USER_PROFILES, store.version(USER_PROFILES))

    return put_profiles


def recorded_changes(store):
    rows = store.read(USER_PROFILES_HISTORY).collect()
    return sorted(
        (r["user_id"], r["change_version"], r["change_type"], r["n_orders"]) for r in rows
    )


def n_orders_as_of(store, user, ts):
    profiles = select_profile_as_of(store.read(USER_PROFILES_HISTORY), user, ts).collect()
    return [row["n_orders"] for row in profiles]


@pytest.mark.slow
def test_each_commit_is_recorded_once_and_expires_after_the_retention(store, put):
    first = put(ann=1, bob=1)
    now = datetime.now(UTC)
    record_history(store, ONE_YEAR, now)
    second, third = put(ann=2, cat=5), put(bob=None)
    record_history(store, ONE_YEAR, now)
    all_changes = [
        ("ann", 1, "upsert", 1),
        ("ann", 2, "upsert", 2),
        ("bob", 1, "upsert", 1),
        ("bob", 3, "delete", None),
        ("cat", 2, "upsert", 5),
    ]
    assert recorded_changes(store) == all_changes
    version = store.version(USER_PROFILES_HISTORY)
    record_history(store, ONE_YEAR, now)
    assert recorded_changes(store) == all_changes
    assert store.version(USER_PROFILES_HISTORY) == version  # no empty commit
    assert [n_orders_as_of(store, "ann", ts) for ts in (first, second, third)] == [[1], [2], [2]]
    assert [n_orders_as_of(store, "bob", ts) for ts in (first, second, third)] == [[1], [1], []]
    record_history(store, timedelta(0), second)
    assert recorded_changes(store) == all_changes[1:]
    assert n_orders_as_of(store, "bob", second) == [1]


def test_without_a_change_feed_the_history_adds_the_profiles_that_differ(store, put, spark):
    put(ann=1, bob=1, cat=7)
    record_history(store, ONE_YEAR, datetime.now(UTC))
    put(ann=2)
    table = f"delta.`{store.path(USER_PROFILES)}`"
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)")
    spark.sql(f"DELETE FROM {table} WHERE user_id = 'bob'")
    record_history(store, ONE_YEAR, datetime.now(UTC))
    assert recorded_changes(store) == [
        ("ann", 1, "upsert", 1),
        ("ann", 4, "upsert", 2),
        ("bob", 1, "upsert", 1),
        ("bob", 4, "delete", None),
        ("cat", 1, "upsert", 7),
    ]
    shutil.rmtree(store.path(USER_PROFILES))
    put(ann=3)
    with pytest.raises(
        InputError, match="holds version 4, but user_profiles is at 1: it was recreated"
    ):
        record_history(store, ONE_YEAR, datetime.now(UTC))
