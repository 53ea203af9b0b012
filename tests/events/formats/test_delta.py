"""Check that a version of a Delta table is read as it is, whatever its features."""

import pytest

from profile_lib.events.column_mapping import IS_WANTED, map_rows
from profile_lib.events.formats.registry import ROW
from profile_lib.events.input_plan import plan_events
from profile_lib.events.readers import find_files, read_input, read_rows, table_version
from profile_lib.spark.column_shapes import quote_name
from tests.events.source_files import write_mapping

COLUMNS = {"user_id": "`user.id`", "event_ts": "`when`", "event_type": "what"}


@pytest.fixture(scope="module")
def table(spark, tmp_path_factory) -> str:
    """A table with deletion vectors and column mapping, without one deleted row."""
    path = str(tmp_path_factory.mktemp("delta") / "clicks table")
    name = f"delta.{quote_name(path)}"
    spark.sql(
        f"CREATE TABLE {name} (id INT, `user.id` STRING, `when` TIMESTAMP, what STRING) "
        "USING delta TBLPROPERTIES ('delta.columnMapping.mode' = 'name', "
        "'delta.enableDeletionVectors' = 'true')"
    )
    time = "TIMESTAMP'2024-03-01 10:00:00'"
    rows = [f"({n}, '{who}', {time}, 'look')" for n, who in enumerate(["ann", "bob", "cat"])]
    spark.sql(f"INSERT INTO {name} VALUES {', '.join(rows)}")
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN what TO act")
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN act TO what")
    spark.sql(f"DELETE FROM {name} WHERE `user.id` = 'bob'")
    return path


def test_the_latest_version_of_a_table_is_one_file_with_a_hash_of_its_own(spark, table):
    (version,) = table_version(spark, table).collect()
    assert (version["path"], version["layout"], version["n_bytes"]) == (table, "4", 0)
    assert version["content_hash"] == f"{table}@4"
    assert version["names"] == ["id", "user.id", "when", "what"]
    assert version["problem"] is None


def test_columns_of_a_table_may_begin_with_underscores(spark, tmp_path):
    path = str(tmp_path / "synced")
    columns = ("_row", "_file", "_index", "_metadata")
    values = ", ".join(f"'{name}' AS {name}" for name in columns)
    frame = spark.sql(f"SELECT 'ann' AS who, '2024-03-01' AS `when`, 'look' AS what, {values}")
    frame.write.format("delta").save(path)
    changes = {"item_id": "_row", "title": "_file", "query": "_index", "brand": "_metadata"}
    mapping = write_mapping(
        tmp_path,
        inputs={"events": {"format": "delta", "where": "_index = '_index'"}},
        columns={"user_id": "who", "event_ts": "`when`", "event_type": "what"} | changes,
    )
    plan = plan_events(spark, mapping, "events")
    (row,) = map_rows(read_input(spark, plan, path), plan, mapping, {}).collect()
    assert [row[name] for name in changes] == list(columns)
    assert row[IS_WANTED] is True


def test_deleted_rows_are_not_read_and_renamed_columns_are(spark, table, tmp_path):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "delta"}}, columns=COLUMNS)
    plan = plan_events(spark, mapping, "events")
    files = find_files(spark, plan, table)
    name = f"delta.{quote_name(table)}"  # a later version, which must not be read
    spark.sql(f"INSERT INTO {name} SELECT 9, 'eve', `when`, what FROM {name} LIMIT 1")
    rows = read_rows(spark, plan, files).orderBy("`user.id`").collect()
    assert [(row["user.id"], row["what"]) for row in rows] == [("ann", "look"), ("cat", "look")]
    assert rows[0][ROW] == (
        '{"id":0,"user.id":"ann","what":"look","when":"2024-03-01T10:00:00.000Z"}'
    )
