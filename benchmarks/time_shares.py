"""Sample the JVM's stacks to see what a Spark driver spends its time on."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.java_gateway import get_method
from pyspark.sql import SparkSession

EVERY_SECONDS = 0.2
# Activities of the driver, each by parts of a stack's frames; the first that fits. Tasks run on
# threads of their own while the driver waits. Adaptive execution waits for a stage at a queue.
ACTIVITIES = {
    "Delta's commits": (
        "OptimisticTransactionImpl.commit", "PostCommit", "delta.Snapshot", "delta.Checkpoints",
    ),
    "tasks": ("DAGScheduler.runJob", "awaitResult", "CompletableFuture", "LinkedBlockingQueue"),
    "Spark's planning": ("catalyst", "QueryExecution", "SparkPlan", "sql.classic", "sql.Dataset"),
}  # fmt: skip
OTHER = "other"
DRIVER_FRAMES = ("py4j.ClientServerConnection", "py4j.GatewayConnection")  # threads of Python calls


@contextmanager
def sample_shares(spark: SparkSession) -> Iterator[dict[str, float]]:
    """Yield a dictionary that holds each activity's share of the time when the body has ended.

    Time in which no call from Python runs in the JVM counts as OTHER.
    """
    shares: dict[str, float] = {}
    counts: Counter[str] = Counter()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(EVERY_SECONDS):
            counts.update(current_activities(spark))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield shares
    finally:
        stop.set()
        thread.join()
        total = sum(counts.values()) or 1
        shares |= {name: round(counts[name] / total, 3) for name in (*ACTIVITIES, OTHER)}


def current_activities(spark: SparkSession) -> list[str]:
    """Return what the driver's threads are doing now; [OTHER] if no call is running."""
    stacks = [stack for stack in read_stacks(spark) if any(f in stack for f in DRIVER_FRAMES)]
    busy = [activity for stack in stacks if (activity := find_activity(stack)) is not None]
    return busy or [OTHER]


def read_stacks(spark: SparkSession) -> list[str]:
    """Return the stack of each thread of the JVM, innermost frame first."""
    jvm = spark._jvm
    assert jvm is not None
    values = get_method(jvm.java.lang.Thread.getAllStackTraces(), "values")  # not those of Python
    return str(jvm.java.util.Arrays.deepToString(values().toArray())).split("], [")


def find_activity(stack: str) -> str | None:
    """Return the activity that a stack shows; None if the thread waits or takes this sample."""
    if "org.apache.spark" not in stack and "io.delta" not in stack:
        return None
    for name, parts in ACTIVITIES.items():
        if any(part in stack for part in parts):
            return name
    return OTHER
