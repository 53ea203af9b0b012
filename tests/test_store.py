"""What the store keeps, merges and refuses."""

import pytest

from profile_lib.errors import InputError
from profile_lib.store import Store
from profile_lib.tables import IDENTITY, REJECTED_EVENTS

SCHEMA = "user_id string, raw_id string, source string"


def kept(store: Store) -> list[tuple[str, str]]:
    return sorted((r.user_id, r.raw_id) for r in store.read(IDENTITY).collect())


def test_an_upsert_updates_inserts_and_deletes_by_key(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s"), ("b", "2", "s")))
    store.upsert(
        IDENTITY,
        rows(
            f"{SCHEMA}, is_deleted boolean",
            ("a", "9", "s", False),
            ("b", "2", "s", True),
            ("c", "3", "s", False),
            ("d", "4", "s", True),
        ),
    )
    assert kept(store) == [("a", "9"), ("c", "3")]


def test_an_upsert_without_update_leaves_rows_that_are_there(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    store.upsert(IDENTITY, rows(SCHEMA, ("a", "9", "s"), ("b", "2", "s")), update=False)
    assert kept(store) == [("a", "1"), ("b", "2")]


def test_a_frame_that_breaks_the_contract_is_told_whole_and_nothing_is_written(store, rows):
    with pytest.raises(InputError) as told:
        store.replace(IDENTITY, rows("uid string, raw_id long, source string", ("a", 1, "s")))
    assert str(told.value) == (
        "identity: missing ['user_id'], unexpected ['uid'], "
        "wrong type ['raw_id: bigint, declared string']"
    )
    assert not store.exists(IDENTITY)


def test_a_null_in_a_required_column_is_refused_whole(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    with pytest.raises(InputError, match="identity: null in a required column.*raw_id"):
        store.append(IDENTITY, rows(SCHEMA, ("b", "2", "s"), ("c", None, "s")))
    assert kept(store) == [("a", "1")]


def test_two_source_rows_of_one_key_are_refused(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    with pytest.raises(InputError, match="identity: several rows for one user_id"):
        store.upsert(IDENTITY, rows(SCHEMA, ("a", "2", "s"), ("a", "3", "s")))


def test_a_table_never_written_is_told(store):
    with pytest.raises(InputError, match="rejected_events: no table at .*run the job"):
        store.read(REJECTED_EVENTS)


def test_column_comments_end_up_in_the_table(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    field = store.read(IDENTITY).schema["raw_id"]
    assert field.metadata["comment"] == "the id in the source"


@pytest.mark.parametrize("act", ["read", "append", "replace", "upsert"])
def test_a_table_of_another_version_is_told_before_anything_is_written(store, rows, act):
    older = rows("user_id string, raw_id string", ("a", "1"))
    older.write.format("delta").save(store.path(IDENTITY))
    args = [] if act == "read" else [rows(SCHEMA, ("b", "2", "s"))]
    with pytest.raises(InputError, match="it has no column source; move .* away and run"):
        getattr(store, act)(IDENTITY, *args)
    assert store.spark.read.format("delta").load(store.path(IDENTITY)).count() == 1
