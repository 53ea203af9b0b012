"""What the queries of a stream share: how they start, and how they are watched."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery

from profile_lib.errors import InputError
from profile_lib.progress import Progress
from profile_lib.sections.running import StreamSettings
from profile_lib.spark import session_conf
from profile_lib.store import Store

LOOK_SECONDS = 1  # between two looks at the queries
POLLING = {"spark.sql.streaming.pollingDelay": "200ms"}  # 10 ms would take all of a core to look


class Running(NamedTuple):
    """A query, and what its batches refused: Spark tells their errors as text alone."""

    query: StreamingQuery
    refused: list[InputError]


def start_query(
    store: Store,
    frame: DataFrame,
    bring: Callable[[Store, DataFrame, int], None],
    name: str,
    given: StreamSettings,
    once: bool,
) -> Running:
    """A query that hands its batches to `bring`; it goes on where its part of the checkpoint says.

    They come with `store` by their session, which all batches share. With `once` the query ends
    when what is there is through.
    """
    refused: list[InputError] = []
    of_batches: Store | None = None

    def bring_or_refuse(batch: DataFrame, batch_id: int) -> None:
        nonlocal of_batches
        of_batches = of_batches or store.for_batches(batch.sparkSession)
        try:
            bring(of_batches, batch, batch_id)
        except InputError as error:
            refused.append(error)
            raise

    writer = frame.writeStream.foreachBatch(bring_or_refuse).outputMode("update")
    writer = writer.option("checkpointLocation", f"{given.checkpoint}/{name}")
    every = f"{given.trigger_seconds} seconds"
    writer = writer.trigger(availableNow=True) if once else writer.trigger(processingTime=every)
    with session_conf(store.spark, POLLING):
        return Running(writer.start(), refused)


def watch(running: Sequence[Running], progress: Progress, when_idle: Callable[[], None]) -> None:
    """Until a query ends: count the last one's batches, print a line a minute; `when_idle` may run
    while it waits for data.

    Then all are stopped. Raises InputError where a batch was refused, else what Spark says.
    """
    last, seen, main = -1, None, running[-1].query
    try:
        while not any(_has_ended(*one) for one in running):
            if (told := main.lastProgress) is not None:
                if told["timestamp"] != seen:  # all of them are much to read at every look
                    last, seen = _count(main, progress, last), told["timestamp"]
                if not main.status["isDataAvailable"]:  # in the last look at the source
                    when_idle()
            if (line := progress.report()) is not None:
                print(f"stream_profiles: {line}", flush=True)
        _count(main, progress, last)
    finally:
        for one in running:
            one.query.stop()


def _has_ended(query: StreamingQuery, refused: list[InputError]) -> bool:
    try:
        return bool(query.awaitTermination(LOOK_SECONDS))
    except StreamingQueryException:
        if refused:
            raise refused[0] from None
        raise


def _count(query: StreamingQuery, progress: Progress, last: int) -> int:
    """Tell `progress` of the batches after `last`; the last one.

    A query that idles tells of the batch to come before it has run.
    """
    for batch in query.recentProgress:
        if batch["batchId"] > last and "addBatch" in batch["durationMs"]:
            progress.batch(batch["numInputRows"], batch["durationMs"]["triggerExecution"] / 1000)
            last = batch["batchId"]
    return last
