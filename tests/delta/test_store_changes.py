"""Change feeds, writers beside each other, and what a MERGE touches."""

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.merge import bloom_filter
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.tables import Table
from tests.worlds import NOTES

CHANGE = "user_id string, user_bucket int, n long, is_deleted boolean"


def notes(store: Store) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in store.read(NOTES).collect())


def told(feed: DataFrame | None) -> list[tuple[object, ...]]:
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
    """Versions 1 (two rows), 2 (one updated, one inserted) and 3 (one deleted)."""
    return Store(spark, shutil.copytree(three_versions, tmp_path / "tables").as_posix())


def test_changes_are_those_after_a_version(written):
    assert told(written.changes(NOTES, 1)) == [
        (2, "insert", "c", 4),
        (2, "update_postimage", "a", 3),
        (2, "update_preimage", "a", 1),
        (3, "delete", "b", 2),
    ]
    assert told(written.changes(NOTES, 0, until_version=1)) == [
        (1, "insert", "a", 1),
        (1, "insert", "b", 2),
    ]
    now = written.changes(NOTES, 3)
    assert told(now) == []
    assert now.columns == written.changes(NOTES, 1).columns


def test_changes_that_the_feed_does_not_tell_are_none(written, spark):
    place = f"delta.`{written.path(NOTES)}`"
    assert written.changes(NOTES, 4) is None  # of another table that lay here
    spark.sql(f"ALTER TABLE {place} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)")
    spark.sql(f"DELETE FROM {place} WHERE user_id = 'c'")
    off = written.version(NOTES)
    written.replace(NOTES, written.read(NOTES).localCheckpoint())  # sets what is declared
    assert written.changes(NOTES, off - 1) is None
    assert told(written.changes(NOTES, off))[0][1] == "delete"


def test_changes_whose_files_are_cleaned_away_are_none(written, spark):
    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    spark.conf.set(check, "false")
    try:
        spark.sql(f"VACUUM delta.`{written.path(NOTES)}` RETAIN 0 HOURS")
    finally:
        spark.conf.unset(check)
    assert written.changes(NOTES, 1) is None
    after = written.version(NOTES)
    written.upsert(NOTES, spark.createDataFrame([("a", 0, 9)], NOTES.schema))
    assert told(written.changes(NOTES, after)) == [
        (after + 1, "update_postimage", "a", 9),
        (after + 1, "update_preimage", "a", 3),
    ]


def test_a_guard_keeps_what_is_there_and_lets_new_rows_in(written, rows):
    changes = rows(CHANGE, ("a", 0, 2, False), ("c", 0, 5, True), ("d", 0, 1, False))
    written.upsert(NOTES, changes, guard="source.n >= target.n")
    assert notes(written) == [("a", 0, 3), ("d", 0, 1)]
    written.upsert(NOTES, rows(NOTES.schema, ("a", 0, 4)), guard="source.n >= target.n")
    assert notes(written) == [("a", 0, 4), ("d", 0, 1)]


def test_a_row_that_is_there_keeps_a_column_where_it_is_to(written, rows):
    changes = rows(NOTES.schema, ("a", 0, 7), ("d", 0, 9), ("e", 0, 1))
    written.upsert(NOTES, changes, keep_target_when={"n": "source.n > 5"})
    assert notes(written)[0] == ("a", 0, 3)
    assert ("d", 0, 9) in notes(written)  # new
    written.upsert(NOTES, rows(NOTES.schema, ("a", 0, 5)), keep_target_when={"n": "source.n > 5"})
    assert notes(written)[0] == ("a", 0, 5)


def test_an_upsert_reads_no_file_of_another_partition(store, rows):
    store.replace(NOTES, rows(NOTES.schema, ("a", 0, 1), ("b", 1, 2)))
    shutil.rmtree(Path(store.path(NOTES)) / "user_bucket=1")
    store.upsert(NOTES, rows(NOTES.schema, ("a", 0, 3), ("c", 0, 4)))
    assert sorted(store.read(NOTES).where("user_bucket = 0").toPandas()["n"]) == [3, 4]


def test_a_sieve_holds_every_key_of_the_source_and_few_others(spark):
    keys = spark.range(50_000).selectExpr("concat('user ', id) user_id")
    source = keys.limit(2_000)
    holds = bloom_filter(NOTES, source, 2_000)
    assert source.alias("target").where(holds).count() == 2_000
    assert keys.alias("target").where(holds).count() < 2_000 + 0.05 * 48_000


def test_there_is_no_sieve_where_it_would_save_nothing(spark):
    source = spark.createDataFrame([("a",)], "user_id string")
    assert bloom_filter(NOTES, source, 999) is None
    assert bloom_filter(NOTES, source, 300_000) is None  # most bits would be set
    assert bloom_filter(replace(NOTES, deletion_vectors=False), source, 2_000) is None


def test_an_upsert_of_many_rows_changes_those_alone(store):
    user = ["lpad(id, 4, '0') user_id", "0 user_bucket"]
    store.replace(NOTES, store.spark.range(3_000).selectExpr(*user, "id n"))
    store.upsert(NOTES, store.spark.range(2_000, 4_000).selectExpr(*user, "-id n"))
    wanted = [(f"{id:04d}", 0, id if id < 2_000 else -id) for id in range(4_000)]
    assert notes(store) == wanted


def test_the_source_of_an_upsert_is_computed_once(written, spark, rows):
    n_computed = spark.sparkContext.accumulator(0)

    def counted(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            n_computed.add(len(frame))
            yield frame

    source = rows(CHANGE, ("a", 0, 7, False), ("b", 1, 8, False), ("c", 0, 9, True))
    written.upsert(NOTES, source.mapInPandas(counted, CHANGE))
    assert notes(written) == [("a", 0, 7), ("b", 1, 8)]
    assert n_computed.value == 3


def test_of_two_who_write_a_table_first_neither_takes_the_others_rows_nor_doubles_them(store, rows):
    """Both find no table, and compute until the other has begun as well."""
    begun = threading.Barrier(2, timeout=60)
    failed: list[Exception] = []

    def write(name: str, user: str) -> None:
        both = rows(NOTES.schema, ("a", 0, 1), (user, 0, 2))
        own = Store(store.spark, store.root, max_attempts=8, first_wait_seconds=0.1)
        exists = own.exists

        def exists_not_yet(table: Table) -> bool:
            found = exists(table)
            if not found:
                begun.wait()
            return found

        own.exists = exists_not_yet
        try:
            own.upsert(NOTES, both)
        except (InputError, PySparkException) as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=pair) for pair in (("one", "b"), ("two", "c"))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed
    assert notes(store) == [("a", 0, 1), ("b", 0, 2), ("c", 0, 2)]


FLAT = replace(NOTES, partition_by=())  # all in one file, for which writers compete


def compete(store: Store, rows, folder: Path, times: int) -> None:
    """A slow replacing of `a`, while which `b` is written `times` times by another writer."""
    store.replace(FLAT, rows(NOTES.schema, ("a", 0, 1), ("b", 0, 1)))
    begun, go_on = folder / "begun", folder / "go on"

    @F.pandas_udf("long")
    def slow(n: pd.Series) -> pd.Series:
        begun.touch()
        while not go_on.exists():
            time.sleep(0.05)
        return n

    def write_b() -> None:
        while not begun.exists():
            time.sleep(0.05)
        for n in range(times):
            Store(store.spark, store.root).upsert(FLAT, rows(NOTES.schema, ("b", 0, 10 + n)))
        go_on.touch()

    other = threading.Thread(target=write_b)
    other.start()
    try:
        slowly = rows(NOTES.schema, ("a", 0, 5)).withColumn("n", slow("n"))
        store.replace(FLAT, slowly, where="user_id = 'a'")
    finally:
        other.join()


def test_a_write_that_loses_is_told_with_what_to_do(store, rows, tmp_path):
    with pytest.raises(InputError) as error:
        compete(store, rows, tmp_path, times=1)
    assert str(error.value) == (
        "notes: another writer came first 1 times, last a ConcurrentAppendException; nothing was "
        "written: run this again when the other is done, or raise store.max_attempts"
    )
    assert notes(store) == [("a", 0, 1), ("b", 0, 10)]


def test_a_write_that_loses_is_tried_again_and_nothing_is_lost(spark, rows, tmp_path):
    store = Store(spark, str(tmp_path), max_attempts=2, first_wait_seconds=0.01)
    compete(store, rows, tmp_path, times=2)
    assert notes(store) == [("a", 0, 5), ("b", 0, 11)]
