"""Several tasks write a large partition, and each small partition is one file."""

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.spark.session import session_conf
from tests.worlds import NOTES

pytestmark = pytest.mark.slow  # tens of thousands of rows


@pytest.fixture(autouse=True)
def tasks_of_a_mebibyte(spark):
    with session_conf(spark, {"spark.databricks.delta.optimizeWrite.binSize": "1m"}):
        yield


def notes(spark: SparkSession, first: int, n_rows: int, n_buckets: int) -> DataFrame:
    """Make notes of the users `first` to `first + n_rows - 1` in four tasks."""
    number = F.col("id")
    values = [F.sha2(number.cast("string"), 256), F.pmod(number, F.lit(n_buckets)).cast("int")]
    columns = [*values, number]
    users = spark.range(first, first + n_rows, numPartitions=4)
    return users.select(*[c.alias(n) for c, n in zip(columns, NOTES.column_names(), strict=True)])


def n_added_files(store: Store) -> int:
    """Return the number of files that the last commit added, one per task and partition."""
    commit = store.spark.sql(f"DESCRIBE HISTORY delta.`{store.path(NOTES)}` LIMIT 1").first()
    assert commit is not None
    metrics = commit["operationMetrics"]
    return int(metrics.get("numTargetFilesAdded") or metrics["numFiles"])


def test_all_tasks_of_a_merge_write_a_large_partition_and_one_a_small_one(spark, store):
    store.upsert(NOTES, notes(spark, 0, 10, n_buckets=1))  # creates the table
    assert n_added_files(store) == 1
    store.upsert(NOTES, notes(spark, 10, 60_000, n_buckets=1))
    assert n_added_files(store) == 4  # each task of the source has more than a MiB
    store.upsert(NOTES, notes(spark, 60_010, 10, n_buckets=1))
    assert n_added_files(store) == 1
    assert store.read(NOTES).agg(F.count("*"), F.sum("n")).first() == (60_020, 60_020 * 60_019 / 2)


def test_an_append_and_a_replacement_write_one_file_per_small_partition(spark, store):
    store.replace(NOTES, notes(spark, 0, 100, n_buckets=5))
    assert n_added_files(store) == 5
    store.append(NOTES, notes(spark, 100, 100, n_buckets=3))
    assert n_added_files(store) == 3
    store.replace(NOTES, notes(spark, 1, 100, n_buckets=1), where="user_bucket = 0")
    assert n_added_files(store) == 1
    store.replace(NOTES, notes(spark, 0, 120_000, n_buckets=2))
    assert n_added_files(store) == 8  # four tasks made a MiB or more of each partition
