"""Check that stored histories follow the events, whatever happened to either."""

import shutil
from datetime import datetime, timedelta

import pytest
from delta.tables import DeltaTable
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines import user_histories
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.tables import EVENTS, USER_HISTORIES, USER_HISTORIES_STATE
from tests.features.behaviour_world import event, event_rows
from tests.worlds import dev_settings

NOON = datetime(2026, 1, 10, 12)
FIRST = [event(user, NOON + timedelta(hours=n), "view", "mug") for user in "ab" for n in range(4)]
LATE = [event("a", NOON - timedelta(days=9), "cart", "pen"), event("c", NOON, "view", "tee")]


def stored_histories(store) -> dict[str, dict]:
    rows = store.read(USER_HISTORIES).drop("events_version").collect()
    return {row["user_id"]: row.asDict(recursive=True) for row in rows}


def rebuild(store, settings) -> dict[str, dict]:
    """Move the table away, as the error says, and return the histories that are built again."""
    shutil.rmtree(store.path(USER_HISTORIES))
    update_histories(store, settings)
    return stored_histories(store)


@pytest.fixture
def settings(tmp_path):
    return dev_settings(tmp_path, "histories.max_events=3", "refresh.user_buckets=2")


def test_histories_after_new_changed_and_deleted_events_equal_those_built_at_once(
    spark, store, settings
):
    store.append(EVENTS, event_rows(spark, FIRST))
    update_histories(store, settings)
    assert [len(history["older"]) for history in stored_histories(store).values()] == [1, 1]
    store.append(EVENTS, event_rows(spark, LATE))
    update_histories(store, settings)
    store.upsert(EVENTS, event_rows(spark, [FIRST[0] | {"item_id": "tee"}]))
    DeltaTable.forPath(spark, store.path(EVENTS)).delete("user_id = 'b'")
    update_histories(store, settings)
    followed = stored_histories(store)
    assert sorted(followed) == ["a", "c"]
    assert followed == rebuild(store, settings)


def test_a_rebuild_that_was_killed_is_not_taken_for_complete(spark, store, settings, monkeypatch):
    store.append(EVENTS, event_rows(spark, FIRST))
    update_histories(store, settings)
    expected = stored_histories(store)
    shutil.rmtree(store.path(USER_HISTORIES))

    replace = Store.replace

    def create_and_die(self, table, frame):
        if table is not USER_HISTORIES:
            return replace(self, table, frame)
        self.evolve_schema(table)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "replace", create_and_die)
        with pytest.raises(KeyboardInterrupt):
            update_histories(store, settings)
    assert stored_histories(store) == {}
    update_histories(store, settings)
    assert stored_histories(store) == expected


def test_a_history_that_a_slower_job_wrote_of_deleted_events_is_deleted_by_the_next_one(
    spark, store, settings, monkeypatch
):
    store.append(EVENTS, event_rows(spark, FIRST))
    update_histories(store, settings)
    store.append(EVENTS, event_rows(spark, LATE))
    apply = user_histories._HistoryUpdate._apply

    def apply_late(self, changes):
        monkeypatch.undo()
        DeltaTable.forPath(spark, store.path(EVENTS)).delete("user_id = 'c'")
        update_histories(store, settings)
        apply(self, changes)

    monkeypatch.setattr(user_histories._HistoryUpdate, "_apply", apply_late)
    update_histories(store, settings)
    assert "c" in stored_histories(store)  # of the slower job
    update_histories(store, settings)
    assert sorted(stored_histories(store)) == ["a", "b"]


def test_histories_of_an_older_shape_are_built_again_from_events(spark, store, settings):
    store.append(EVENTS, event_rows(spark, FIRST))
    update_histories(store, settings)
    expected = stored_histories(store)
    shape = "user_id string, user_bucket int, text string"
    older = spark.createDataFrame([("a", 0, "4 views")], shape)
    path = store.path(USER_HISTORIES)
    older.write.format("delta").mode("overwrite").option("overwriteSchema", True).save(path)
    with pytest.raises(InputError, match="move .* away: the next job that reads it builds it"):
        store.read(USER_HISTORIES)
    state = store.read(USER_HISTORIES_STATE).withColumn("definition", F.lit("of older code"))
    store.replace(USER_HISTORIES_STATE, state.localCheckpoint())
    update_histories(store, settings)
    assert stored_histories(store) == expected
