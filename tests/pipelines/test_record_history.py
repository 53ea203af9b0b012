"""The history of a table of profiles: every commit once, whenever it is recorded."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from profile_lib.errors import InputError
from profile_lib.pipelines.record_history import record_history
from profile_lib.profiles.history import select_profile_as_of
from profile_lib.tables import USER_PROFILES, USER_PROFILES_HISTORY
from tests.worlds import profile_row

LONG = timedelta(days=365)


@pytest.fixture
def put(store, rows):
    """Upsert profiles told as user=n_orders, None for one that goes; then the commit's time."""

    def put(**orders):
        source = rows(
            f"struct<{USER_PROFILES.schema.simpleString()[7:-1]},is_deleted:boolean>",
            *((*profile_row(u, n_orders=n or 0), n is None) for u, n in orders.items()),
        )
        store.upsert(USER_PROFILES, source)
        return store.commit_time(USER_PROFILES, store.version(USER_PROFILES))

    return put


def recorded(store):
    rows = store.read(USER_PROFILES_HISTORY).collect()
    return sorted(
        (r["user_id"], r["change_version"], r["change_type"], r["n_orders"]) for r in rows
    )


def n_orders_as_of(store, user, ts):
    found = select_profile_as_of(store.read(USER_PROFILES_HISTORY), user, ts).collect()
    return [row["n_orders"] for row in found]


def test_commits_are_recorded_once_however_many_at_once_and_expire(store, put):
    first = put(ann=1, bob=1)
    now = datetime.now(UTC)
    record_history(store, LONG, now)
    second, third = put(ann=2, cat=5), put(bob=None)
    record_history(store, LONG, now)
    whole = [
        ("ann", 1, "upsert", 1),
        ("ann", 2, "upsert", 2),
        ("bob", 1, "upsert", 1),
        ("bob", 3, "delete", None),
        ("cat", 2, "upsert", 5),
    ]
    assert recorded(store) == whole
    version = store.version(USER_PROFILES_HISTORY)
    record_history(store, LONG, now)
    assert recorded(store) == whole
    assert store.version(USER_PROFILES_HISTORY) == version  # nothing to commit
    assert [n_orders_as_of(store, "ann", ts) for ts in (first, second, third)] == [[1], [2], [2]]
    assert [n_orders_as_of(store, "bob", ts) for ts in (first, second, third)] == [[1], [1], []]
    record_history(store, timedelta(0), second)
    assert recorded(store) == whole[1:]
    assert n_orders_as_of(store, "bob", second) == [1]


def test_a_history_that_begins_late_or_lost_the_thread_begins_with_what_is_there(store, put, spark):
    put(ann=1, bob=1)
    record_history(store, LONG, datetime.now(UTC))
    put(ann=2)
    place = f"delta.`{store.path(USER_PROFILES)}`"
    spark.sql(f"ALTER TABLE {place} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)")
    spark.sql(f"DELETE FROM {place} WHERE user_id = 'bob'")
    record_history(store, LONG, datetime.now(UTC))
    assert recorded(store) == [
        ("ann", 1, "upsert", 1),
        ("ann", 4, "upsert", 2),
        ("bob", 1, "upsert", 1),
        ("bob", 4, "delete", None),
    ]
    shutil.rmtree(store.path(USER_PROFILES))
    put(ann=3)
    with pytest.raises(InputError, match="tells of version 4, user_profiles is at 1: it was made"):
        record_history(store, LONG, datetime.now(UTC))
