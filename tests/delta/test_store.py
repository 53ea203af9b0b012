"""What the store keeps, merges and refuses."""

from datetime import datetime

import pytest
from pyspark.sql import DataFrame

from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.tables import IDENTITY, REJECTED_EVENTS, USER_PROFILES, USERS, Table
from tests.worlds import NOTES

MOMENT = datetime(2026, 1, 1)

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
    assert field.metadata["comment"] == "id in the source"


def older(store: Store, table: Table, frame: DataFrame) -> None:
    """Write what an older version of `table` may have looked like."""
    writer = frame.write.format("delta").partitionBy(*table.partition_by)
    writer.save(store.path(table))


@pytest.mark.parametrize("act", ["read", "append", "upsert", "replace a part"])
def test_a_table_that_lacks_a_required_column_is_refused_with_what_to_do(store, rows, act):
    older(store, IDENTITY, rows("user_id string, raw_id int", ("a", 1)))
    args = [] if act == "read" else [rows(SCHEMA, ("b", "2", "s"))]
    if act == "replace a part":
        args.append("user_id = 'b'")
    with pytest.raises(InputError) as told:
        getattr(store, act.split()[0])(IDENTITY, *args)
    path = store.path(IDENTITY)
    assert str(told.value) == (
        f"identity: the table at {path} has an older shape: missing ['source'], wrong type "
        f"['raw_id: int, declared string']; move {path} away, run python jobs/ingest_events.py "
        "--config FILE on all inputs since the beginning, then python jobs/refresh_profiles.py "
        "--config FILE --rebuild"
    )
    assert store.spark.read.format("delta").load(path).columns == ["user_id", "raw_id"]


def test_optional_columns_that_a_table_lacks_are_read_as_null_and_added_by_the_next_write(
    store, rows
):
    schema = "user_id string, region string, attributes map<string,string>, first_seen_ts timestamp"
    older(store, USERS, rows(schema, ("a", "north", {}, MOMENT)))
    assert [tuple(r) for r in store.read(USERS).collect()] == [
        ("a", None, None, "north", None, {}, MOMENT)
    ]
    assert store.version(USERS) == 0  # reading writes nothing
    store.upsert(USERS, rows(USERS.schema, ("b", "25-34", "female", None, None, {}, MOMENT)))
    plain = store.spark.read.format("delta").load(store.path(USERS)).select(USERS.column_names())
    assert [tuple(r) for r in plain.orderBy("user_id").collect()] == [
        ("a", None, None, "north", None, {}, MOMENT),
        ("b", "25-34", "female", None, None, {}, MOMENT),
    ]
    assert (
        plain.schema["age_band"].metadata["comment"]
        == "declared age band, years, for example 25-34"
    )


def test_a_table_of_an_older_shape_that_is_replaced_whole_is_made_anew(store, rows):
    older(store, IDENTITY, rows("user_id string, raw_id string", ("a", "1")))
    store.replace(IDENTITY, rows(SCHEMA, ("b", "2", "s")))
    assert kept(store) == [("b", "2")]
    with pytest.raises(InputError, match="null in a required column"):
        store.append(IDENTITY, rows(SCHEMA, ("c", None, "s")))


def test_a_table_of_an_older_shape_stays_where_replacing_it_fails(store, rows):
    older(store, IDENTITY, rows("user_id string, raw_id string", ("a", "1")))
    with pytest.raises(InputError, match="null in a required column"):
        store.replace(IDENTITY, rows(SCHEMA, ("b", None, "s")))
    plain = store.spark.read.format("delta").load(store.path(IDENTITY))
    assert [tuple(r) for r in plain.collect()] == [("a", "1")]


def properties(store: Store, table: Table) -> dict[str, str]:
    told = store.spark.sql(f"DESCRIBE DETAIL delta.`{store.path(table)}`").first()
    assert told is not None
    return told["properties"]


def test_declared_properties_are_set_at_creation_and_by_the_next_write(store, rows):
    frame = rows(USERS.schema, ("a", None, None, None, None, {}, MOMENT))
    older(store, USERS, frame)
    assert properties(store, USERS) == {}
    store.append(USERS, frame)
    store.replace(USER_PROFILES, store.spark.createDataFrame([], USER_PROFILES.schema))
    assert properties(store, USERS) == {"delta.enableChangeDataFeed": "true"}
    assert properties(store, USER_PROFILES) == {
        "delta.enableChangeDataFeed": "true",
        "delta.enableDeletionVectors": "true",
    }
    with pytest.raises(InputError, match="identity: no table"):
        store.version(IDENTITY)


def notes(store: Store, version: int | None = None) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in store.read(NOTES, version).collect())


def test_a_table_with_deletion_vectors_is_merged_replaced_and_read_as_it_was(store, rows):
    many = store.spark.range(100).selectExpr("format_string('%02d', id) user_id", "0 user_bucket")
    store.replace(NOTES, many.selectExpr("*", "0L n"))
    before = notes(store)
    changes = rows(
        "user_id string, user_bucket int, n long, is_deleted boolean",
        ("01", 0, 7, False),
        ("02", 0, None, True),
        ("new", 1, 8, False),
    )
    store.upsert(NOTES, changes)
    merged = [("01", 0, 7) if row[0] == "01" else row for row in before if row[0] != "02"]
    assert notes(store) == [*merged, ("new", 1, 8)]
    files = store.spark.sql(f"DESCRIBE HISTORY delta.`{store.path(NOTES)}`").first()
    assert files["operationMetrics"]["numTargetRowsCopied"] == "0"  # marked, not written again
    store.replace(NOTES, rows(NOTES.schema, ("new", 1, 9)), where="user_bucket = 1")
    assert notes(store) == [*merged, ("new", 1, 9)]
    written = store.version(NOTES) - 2
    assert notes(store, written) == before


def test_a_version_that_there_is_not_is_told_with_those_that_are_kept(store, rows):
    store.replace(NOTES, rows(NOTES.schema, ("a", 0, 1)))
    with pytest.raises(InputError, match="notes: no version 9, kept are 0 to 1"):
        store.read(NOTES, 9)
