"""The store reads change feeds, merges only what changed, and survives concurrent writers."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from profile_lib.delta.merge import bloom_filter
from profile_lib.delta.store import Store
from profile_lib.errors import ConcurrentWriteError, InputError
from profile_lib.tables import Table
from tests.worlds import NOTES

CHANGE = "user_id string, user_bucket int, n long, is_deleted boolean"
NoteRow = Row(*NOTES.column_names())


def assert_notes(store: Store, *expected: tuple[object, ...]) -> None:
    assertDataFrameEqual(store.read(NOTES), [NoteRow(*values) for values in expected])


def change_rows(feed: DataFrame | None) -> list[tuple[object, ...]]:
    assert feed is not None
    columns = feed.select("_commit_version", "_change_type", "user_id", "n")
    return sorted(tuple(row) for row in columns.collect())


@pytest.fixture(scope="module")
def three_versions(spark, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    store = Store(spark, str(folder))
    store.replace(NOTES, spark.createDataFrame([("a", 0, 1), ("b", 1, 2)], NOTES.schema))
    store.upsert(NOTES, spark.createDataFrame([("a", 0, 3), ("c", 0, 4)], NOTES.schema))
    store.upsert(NOTES, spark.createDataFrame([("b", 1, None, True)], CHANGE))
    return folder


@pytest.fixture
def written(spark, three_versions, tmp_path) -> Store:
    """Version 1 has two rows; 2 updates one and inserts one; 3 deletes one."""
    return Store(spark, shutil.copytree(three_versions, tmp_path / "tables").as_posix())


def test_changes_are_the_rows_of_the_commits_after_a_version(written):
    assert change_rows(written.changes(NOTES, 1)) == [
        (2, "insert", "c", 4),
        (2, "update_postimage", "a", 3),
        (2, "update_preimage", "a", 1),
        (3, "delete", "b", 2),
    ]
    assert change_rows(written.changes(NOTES, 0, until_version=1)) == [
        (1, "insert", "a", 1),
        (1, "insert", "b", 2),
    ]
    after_last = written.changes(NOTES, 3)
    assert change_rows(after_last) == []
    assert after_last.columns == written.changes(NOTES, 1).columns


def test_changes_are_none_if_the_feed_does_not_hold_them_all(written, spark):
    path = f"delta.`{written.path(NOTES)}`"
    assert written.changes(NOTES, 4) is None  # a version of a table that this one replaced
    spark.sql(f"ALTER TABLE {path} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)")
    spark.sql(f"DELETE FROM {path} WHERE user_id = 'c'")
    version_without_feed = written.version(NOTES)
    written.replace(NOTES, written.read(NOTES).localCheckpoint())  # enables the feed again
    assert written.changes(NOTES, version_without_feed - 1) is None
    assert change_rows(written.changes(NOTES, version_without_feed))[0][1] == "delete"


def test_changes_are_none_if_their_files_were_removed(written, spark):
    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    spark.conf.set(check, "false")
    try:
        spark.sql(f"VACUUM delta.`{written.path(NOTES)}` RETAIN 0 HOURS")
    finally:
        spark.conf.unset(check)
    assert written.changes(NOTES, 1) is None
    after = written.version(NOTES)
    written.upsert(NOTES, spark.createDataFrame([("a", 0, 9)], NOTES.schema))
    assert change_rows(written.changes(NOTES, after)) == [
        (after + 1, "update_postimage", "a", 9),
        (after + 1, "update_preimage", "a", 3),
    ]


def test_a_row_that_fails_the_guard_stays_and_new_rows_are_inserted(written, rows):
    changes = rows(CHANGE, ("a", 0, 2, False), ("c", 0, 5, True), ("d", 0, 1, False))
    written.upsert(NOTES, changes, guard="source.n >= target.n")
    assert_notes(written, ("a", 0, 3), ("d", 0, 1))
    written.upsert(NOTES, rows(NOTES.schema, ("a", 0, 4)), guard="source.n >= target.n")
    assert_notes(written, ("a", 0, 4), ("d", 0, 1))


def test_an_existing_row_gets_the_update_value_and_a_new_one_that_of_the_source(written, rows):
    changes = rows(NOTES.schema, ("a", 0, 7), ("d", 0, 9))
    written.upsert(NOTES, changes, update_values={"n": "target.n + 10 * source.n"})
    assert_notes(written, ("a", 0, 73), ("c", 0, 4), ("d", 0, 9))
    written.upsert(NOTES, changes, update_values={"n": F.greatest("target.n", "source.n")})
    assert_notes(written, ("a", 0, 73), ("c", 0, 4), ("d", 0, 9))


def test_an_upsert_reads_no_file_of_another_partition(store, rows):
    store.replace(NOTES, rows(NOTES.schema, ("a", 0, 1), ("b", 1, 2)))
    shutil.rmtree(Path(store.path(NOTES)) / "user_bucket=1")
    store.upsert(NOTES, rows(NOTES.schema, ("a", 0, 3), ("c", 0, 4)))
    bucket = store.read(NOTES).where("user_bucket = 0")
    assertDataFrameEqual(bucket, [NoteRow("a", 0, 3), NoteRow("c", 0, 4)])


def test_the_bloom_filter_matches_every_key_of_the_source_and_few_others(spark):
    keys = spark.range(50_000).selectExpr("concat('user ', id) user_id")
    source = keys.limit(2_000)
    may_match = bloom_filter(NOTES, source, 2_000)
    assert source.alias("target").where(may_match).count() == 2_000
    assert keys.alias("target").where(may_match).count() < 2_000 + 0.05 * 48_000


def test_there_is_no_bloom_filter_if_it_does_not_pay_off(spark):
    source = spark.createDataFrame([("a",)], "user_id string")
    assert bloom_filter(NOTES, source, 999) is None
    assert bloom_filter(NOTES, source, 300_000) is None  # most bits would be set
    assert bloom_filter(replace(NOTES, deletion_vectors=False), source, 2_000) is None


def test_an_upsert_of_many_rows_changes_only_these_rows(store):
    user = ["lpad(id, 4, '0') user_id", "0 user_bucket"]
    store.replace(NOTES, store.spark.range(3_000).selectExpr(*user, "id n"))
    store.upsert(NOTES, store.spark.range(2_000, 4_000).selectExpr(*user, "-id n"))
    expected = store.spark.range(4_000).selectExpr(*user, "if(id < 2000, id, -id) n")
    assertDataFrameEqual(store.read(NOTES), expected)


def test_the_source_of_an_upsert_is_computed_once(written, spark, rows):
    n_computed = spark.sparkContext.accumulator(0)

    def count_rows(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            n_computed.add(len(frame))
            yield frame

    source = rows(CHANGE, ("a", 0, 7, False), ("b", 1, 8, False), ("c", 0, 9, True))
    written.upsert(NOTES, source.mapInPandas(count_rows, CHANGE))
    assert_notes(written, ("a", 0, 7), ("b", 1, 8))
    assert n_computed.value == 3


def test_two_writers_that_create_a_table_at_once_keep_all_rows_and_repeat_none(store, rows):
    """Both writers find no table, and neither writes until the other has looked too."""
    both_looked = threading.Barrier(2, timeout=60)
    errors: list[Exception] = []

    def write(user: str) -> None:
        writer = Store(store.spark, store.root, max_attempts=8, first_wait_seconds=0.1)
        exists = writer.exists

        def exists_after_both_looked(table: Table) -> bool:
            is_there = exists(table)
            if not is_there:
                both_looked.wait()
            return is_there

        writer.exists = exists_after_both_looked
        try:
            writer.upsert(NOTES, rows(NOTES.schema, ("a", 0, 1), (user, 0, 2)))
        except (InputError, PySparkException) as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=[user]) for user in ("b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not errors
    assert_notes(store, ("a", 0, 1), ("b", 0, 2), ("c", 0, 2))


FLAT = replace(NOTES, partition_by=())  # all rows in one file, so that writers conflict


@contextmanager
def another_writer(folder: Path, write: Callable[[], None]) -> Iterator[Callable[[str], Column]]:
    """Yield a function of a column; `write` runs in a thread while that column is computed."""
    has_begun, may_end = folder / "has begun", folder / "may end"

    @F.pandas_udf("long")
    def slow(n: pd.Series) -> pd.Series:
        has_begun.touch()
        while not may_end.exists():
            time.sleep(0.05)
        return n

    def wait_and_write() -> None:
        while not has_begun.exists():
            time.sleep(0.05)
        write()
        may_end.touch()

    thread = threading.Thread(target=wait_and_write)
    thread.start()
    try:
        yield slow
    finally:
        thread.join()


def replace_slowly(store: Store, rows, folder: Path, n_other_writes: int) -> None:
    """Replace `a` by a slow write, during which another writer writes `b` several times."""
    store.replace(FLAT, rows(NOTES.schema, ("a", 0, 1), ("b", 0, 1)))

    def write_b() -> None:
        for n in range(n_other_writes):
            Store(store.spark, store.root).upsert(FLAT, rows(NOTES.schema, ("b", 0, 10 + n)))

    with another_writer(folder, write_b) as slow:
        slow_rows = rows(NOTES.schema, ("a", 0, 5)).withColumn("n", slow("n"))
        store.replace(FLAT, slow_rows, where="user_id = 'a'")


def test_the_error_of_a_write_that_lost_a_conflict_says_what_to_do(store, rows, tmp_path):
    with pytest.raises(InputError) as error:
        replace_slowly(store, rows, tmp_path, n_other_writes=1)
    assert str(error.value) == (
        "notes: nothing was written, because another writer committed first in each of 1 attempts "
        "(last error: ConcurrentAppendException); run this again when the other writer is done, or "
        "raise store.max_attempts"
    )
    assert_notes(store, ("a", 0, 1), ("b", 0, 10))


def test_a_write_that_lost_a_conflict_is_retried_and_no_row_is_lost(spark, rows, tmp_path):
    store = Store(spark, str(tmp_path), max_attempts=2, first_wait_seconds=0.01)
    replace_slowly(store, rows, tmp_path, n_other_writes=2)
    assert_notes(store, ("a", 0, 5), ("b", 0, 11))


@pytest.mark.parametrize("max_attempts", [1, 2])
def test_a_merge_that_lost_a_conflict_is_computed_again_from_the_row_that_won(
    spark, rows, tmp_path, monkeypatch, max_attempts
):
    """The other writer adds 100 while the merge that adds 10 is running."""
    store = Store(spark, str(tmp_path), max_attempts=max_attempts, first_wait_seconds=0.01)
    store.replace(FLAT, rows(NOTES.schema, ("a", 0, 1)))

    def add(store: Store, frame: DataFrame) -> None:
        store.upsert(FLAT, frame, update_values={"n": "target.n + source.n"})

    def add_100() -> None:
        add(Store(spark, str(tmp_path)), rows(NOTES.schema, ("a", 0, 100)))

    # Without the cache the slow function runs inside the merge.
    monkeypatch.setattr("profile_lib.delta.store.cached", nullcontext)
    with another_writer(tmp_path, add_100) as slow:
        slow_rows = rows(NOTES.schema, ("a", 0, 10)).withColumn("n", slow("n"))
        with nullcontext() if max_attempts > 1 else pytest.raises(ConcurrentWriteError):
            add(store, slow_rows)
    assert_notes(store, ("a", 0, 111 if max_attempts > 1 else 101))
