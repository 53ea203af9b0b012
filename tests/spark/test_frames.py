"""Rows that stand for much work are spread over the tasks."""

import pytest
from pyspark.sql import functions as F

from profile_lib.spark.frames import spread_rows


@pytest.mark.parametrize(("n_rows", "max_tasks", "sizes"), [
    (2, 1_000, [1, 1]), (7, 1_000, [1] * 7), (7, 3, [2, 2, 3]), (0, 1_000, []),
])  # fmt: skip
def test_each_task_gets_as_many_rows_as_any_other(spark, n_rows, max_tasks, sizes):
    paths = spark.range(n_rows).select(F.concat(F.lit("s3://shop/day="), "id").alias("path"))
    by_task = spread_rows(paths, max_tasks).groupBy(F.spark_partition_id()).count().collect()
    assert sorted(row["count"] for row in by_task) == sizes
