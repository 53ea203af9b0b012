"""Rows that stand for much work are spread over the tasks, and small frames sent to each."""

import pytest
from pyspark.sql import functions as F

from profile_lib.spark.frames import broadcast_if_small, spread_rows


@pytest.mark.parametrize(("n_rows", "max_tasks", "sizes"), [
    (2, 1_000, [1, 1]), (7, 1_000, [1] * 7), (7, 3, [2, 2, 3]), (0, 1_000, []),
])  # fmt: skip
def test_each_task_gets_as_many_rows_as_any_other(spark, n_rows, max_tasks, sizes):
    paths = spark.range(n_rows).select(F.concat(F.lit("s3://shop/day="), "id").alias("path"))
    by_task = spread_rows(paths, max_tasks).groupBy(F.spark_partition_id()).count().collect()
    assert sorted(row["count"] for row in by_task) == sizes


@pytest.mark.parametrize(("max_rows", "is_sent"), [(7, True), (6, False)])
def test_a_frame_is_sent_to_each_task_if_it_has_few_rows(spark, max_rows, is_sent):
    frame = broadcast_if_small(spark.range(7), max_rows)
    plan = spark.range(9).join(frame, "id")._jdf.queryExecution().optimizedPlan().toString()
    assert ("rightHint=(strategy=broadcast)" in plan) is is_sent


def test_a_condition_keeps_the_choice_to_send_a_frame(spark):
    frame = broadcast_if_small(spark.range(7), 7).where("id > 2").selectExpr("id", "id + 1 AS n")
    plan = spark.range(9).join(frame, "id")._jdf.queryExecution().optimizedPlan().toString()
    assert "rightHint=(strategy=broadcast)" in plan
