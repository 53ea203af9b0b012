"""The store merges, replaces and reads declared tables, and refuses what breaks their contract."""

from datetime import datetime

import pytest
from pyspark.sql import DataFrame, Row
from pyspark.sql import types as T
from pyspark.testing import assertDataFrameEqual

from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.tables import IDENTITY, REJECTED_EVENTS, USER_PROFILES, USERS, Table
from tests.worlds import NOTES

MOMENT = datetime(2026, 1, 1)
SCHEMA = "user_id string, raw_id string, source string"
IdentityRow, UserRow, NoteRow = (Row(*t.column_names()) for t in (IDENTITY, USERS, NOTES))


def read_plainly(store: Store, table: Table) -> DataFrame:
    """Read the table with Spark, without the store."""
    return store.spark.read.format("delta").load(store.path(table))


def write_older_schema(store: Store, table: Table, frame: DataFrame) -> None:
    """Write what an older version of `table` may have looked like."""
    writer = frame.write.format("delta").partitionBy(*table.partition_by)
    writer.save(store.path(table))


def test_an_upsert_updates_inserts_and_deletes_by_key(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s"), ("b", "2", "s")))
    changes = rows(
        f"{SCHEMA}, is_deleted boolean",
        ("a", "9", "s", False),
        ("b", "2", "s", True),
        ("c", "3", "s", False),
        ("d", "4", "s", True),
    )
    store.upsert(IDENTITY, changes)
    expected = [IdentityRow("a", "9", "s"), IdentityRow("c", "3", "s")]
    assertDataFrameEqual(store.read(IDENTITY), expected)


def test_an_upsert_without_update_leaves_existing_rows_unchanged(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    store.upsert(IDENTITY, rows(SCHEMA, ("a", "9", "s"), ("b", "2", "s")), update=False)
    expected = [IdentityRow("a", "1", "s"), IdentityRow("b", "2", "s")]
    assertDataFrameEqual(store.read(IDENTITY), expected)


def test_an_error_names_all_wrong_columns_of_a_frame_and_nothing_is_written(store, rows):
    with pytest.raises(InputError) as error:
        store.replace(IDENTITY, rows("uid string, raw_id long, source string", ("a", 1, "s")))
    assert str(error.value) == (
        "identity: missing ['user_id'], unexpected ['uid'], "
        "wrong type ['raw_id: bigint, declared string']"
    )
    assert not store.exists(IDENTITY)


def test_no_row_is_written_if_one_has_a_null_in_a_required_column(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    with pytest.raises(InputError, match="identity: null in a required column.*raw_id"):
        store.append(IDENTITY, rows(SCHEMA, ("b", "2", "s"), ("c", None, "s")))
    assertDataFrameEqual(store.read(IDENTITY), [IdentityRow("a", "1", "s")])


def test_two_source_rows_of_one_key_are_refused(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    with pytest.raises(InputError, match="identity: several rows for one user_id"):
        store.upsert(IDENTITY, rows(SCHEMA, ("a", "2", "s"), ("a", "3", "s")))


def test_the_error_for_a_missing_table_says_to_run_the_job_that_writes_it(store):
    for read in (store.read, store.version):
        with pytest.raises(InputError, match="rejected_events: no table at .*run the job"):
            read(REJECTED_EVENTS)


def test_column_comments_are_stored_in_the_table(store, rows):
    store.replace(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    field = store.read(IDENTITY).schema["raw_id"]
    assert field.metadata["comment"] == "id in the source"


@pytest.mark.parametrize("action", ["read", "append", "upsert", "replace a part"])
def test_a_table_without_a_required_column_is_refused_with_instructions(store, rows, action):
    write_older_schema(store, IDENTITY, rows("user_id string, raw_id int", ("a", 1)))
    arguments = [] if action == "read" else [rows(SCHEMA, ("b", "2", "s"))]
    if action == "replace a part":
        arguments.append("user_id = 'b'")
    with pytest.raises(InputError) as error:
        getattr(store, action.split()[0])(IDENTITY, *arguments)
    path = store.path(IDENTITY)
    assert str(error.value) == (
        f"identity: the table at {path} has an older schema: missing ['source'], wrong type "
        f"['raw_id: int, declared string']; move {path} away, run python jobs/ingest_events.py "
        "--config FILE on all inputs since the beginning, then python jobs/refresh_profiles.py "
        "--config FILE --rebuild"
    )
    assert read_plainly(store, IDENTITY).columns == ["user_id", "raw_id"]


def test_missing_optional_columns_are_read_as_null_and_added_by_the_next_write(store, rows):
    schema = T.StructType(
        [USERS.schema[n] for n in ("user_id", "region", "attributes", "declared")]
    )
    write_older_schema(store, USERS, rows(schema, ("a", "north", {}, {})))
    old_user = UserRow("a", None, None, "north", {}, {}, None)
    new_user = UserRow("b", "25-34", "female", None, {}, {}, MOMENT)
    assertDataFrameEqual(store.read(USERS), [old_user])
    assert store.version(USERS) == 0  # reading writes nothing
    store.upsert(USERS, rows(USERS.schema, new_user))
    stored = read_plainly(store, USERS).select(USERS.column_names())
    assertDataFrameEqual(stored, [old_user, new_user])
    comment = stored.schema["age_band"].metadata["comment"]
    assert comment == "declared age band, years, for example 25-34"


def test_replacing_a_table_of_an_older_schema_gives_it_the_declared_schema(store, rows):
    write_older_schema(store, IDENTITY, rows("user_id string, raw_id string", ("a", "1")))
    store.replace(IDENTITY, rows(SCHEMA, ("b", "2", "s")))
    assertDataFrameEqual(store.read(IDENTITY), [IdentityRow("b", "2", "s")])
    with pytest.raises(InputError, match="null in a required column"):
        store.append(IDENTITY, rows(SCHEMA, ("c", None, "s")))


def test_a_table_of_an_older_schema_is_restored_if_replacing_it_fails(store, rows):
    write_older_schema(store, IDENTITY, rows("user_id string, raw_id string", ("a", "1")))
    with pytest.raises(InputError, match="null in a required column"):
        store.replace(IDENTITY, rows(SCHEMA, ("b", None, "s")))
    assertDataFrameEqual(read_plainly(store, IDENTITY), [Row(user_id="a", raw_id="1")])


def properties(store: Store, table: Table) -> dict[str, str]:
    details = store.spark.sql(f"DESCRIBE DETAIL delta.`{store.path(table)}`").first()
    assert details is not None
    return details["properties"]


def test_declared_properties_are_set_at_creation_and_by_the_next_write(store, rows):
    frame = rows(USERS.schema, ("a", None, None, None, {}, {}, MOMENT))
    write_older_schema(store, USERS, frame)
    assert properties(store, USERS) == {}
    store.append(USERS, frame)
    store.replace(USER_PROFILES, store.spark.createDataFrame([], USER_PROFILES.schema))
    declared = {"delta.enableChangeDataFeed": "true", "delta.enableDeletionVectors": "true"}
    partitioned = declared | {"delta.autoOptimize.optimizeWrite": "true"}
    assert (properties(store, USERS), properties(store, USER_PROFILES)) == (declared, partitioned)


def test_a_table_with_deletion_vectors_is_merged_replaced_and_read_at_a_version(store, rows):
    users = [f"{number:02}" for number in range(20)]
    old_notes = [NoteRow(user, 0, 0) for user in users]
    store.replace(NOTES, rows(NOTES.schema, *old_notes).coalesce(1))
    written = store.version(NOTES)
    changes = rows(
        "user_id string, user_bucket int, n long, is_deleted boolean",
        ("01", 0, 7, False),
        ("02", 0, None, True),
        ("new", 1, 8, False),
    )
    store.upsert(NOTES, changes)
    merged = [
        NoteRow("01", 0, 7),
        *(NoteRow(user, 0, 0) for user in users if user not in ("01", "02")),
    ]
    assertDataFrameEqual(store.read(NOTES), [*merged, NoteRow("new", 1, 8)])
    commit = store.spark.sql(f"DESCRIBE HISTORY delta.`{store.path(NOTES)}`").first()
    assert commit is not None
    assert commit["operationMetrics"]["numTargetRowsCopied"] == "0"  # rows are marked as deleted
    store.replace(NOTES, rows(NOTES.schema, ("new", 1, 9)), where="user_bucket = 1")
    assertDataFrameEqual(store.read(NOTES), [*merged, NoteRow("new", 1, 9)])
    assertDataFrameEqual(store.read(NOTES, written), old_notes)


def test_the_error_for_a_missing_version_names_the_versions_kept(store, rows):
    store.replace(NOTES, rows(NOTES.schema, ("a", 0, 1)))
    with pytest.raises(InputError, match="notes: no version 9; the versions kept are 0 to 1"):
        store.read(NOTES, 9)


def test_the_identity_table_is_under_a_root_of_its_own(spark, tmp_path, rows):
    store = Store(spark, f"{tmp_path}/tables", f"{tmp_path}/guarded")
    store.append(IDENTITY, rows(SCHEMA, ("a", "1", "s")))
    assert store.path(IDENTITY) == f"{tmp_path}/guarded/identity"
    assert store.for_stream_batches(spark).path(IDENTITY) == store.path(IDENTITY)
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("root", ["s3://shop/tables", "/data/tables"])
def test_without_an_identity_root_a_store_has_one_that_no_other_store_shares(spark, root):
    assert Store(spark, root).path(IDENTITY) == f"{root}_identity/identity"
