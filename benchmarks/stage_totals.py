"""Sum what the stages of Spark cost: tasks, core seconds, and bytes that were shuffled."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

MIB = 2**20


@contextmanager
def sum_stages(spark: SparkSession) -> Iterator[dict[str, float]]:
    """Yield a dictionary that holds the totals of the stages which ran in the body, when it ended.

    Spark remembers the last thousand stages, so the body must not run more. Python workers count
    as part of the task that waits for them.
    """
    before = {stage.stageId() for stage in _finished_stages(spark)}
    totals: dict[str, float] = {}
    yield totals
    new = [stage for stage in _finished_stages(spark) if stage.stageId() not in before]
    totals |= {
        "stages": len(new),
        "tasks": sum(stage.numCompleteTasks() for stage in new),
        "core_seconds": round(sum(stage.executorRunTime() for stage in new) / 1000, 1),
        "shuffled_mib": round(sum(stage.shuffleWriteBytes() for stage in new) / MIB, 1),
        "read_mib": round(sum(stage.inputBytes() for stage in new) / MIB, 1),
        "written_mib": round(sum(stage.outputBytes() for stage in new) / MIB, 1),
    }


def _finished_stages(spark: SparkSession) -> list:  # type: ignore[type-arg]  # objects of the JVM
    jvm = spark._jvm
    assert jvm is not None
    no_quantiles = spark.sparkContext._gateway.new_array(jvm.double, 0)
    statuses, none = jvm.java.util.ArrayList(), jvm.java.util.ArrayList()
    store = spark.sparkContext._jsc.sc().statusStore()
    stages = store.stageList(statuses, False, False, no_quantiles, none)
    return [stages.apply(n) for n in range(stages.size()) if stages.apply(n).numCompleteTasks()]
