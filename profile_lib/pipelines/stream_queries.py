"""Start the queries of a stream, and watch them until one ends."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery

from profile_lib.config.stream import StreamSettings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.profiles.stream_progress import StreamProgress
from profile_lib.spark.session import session_conf

POLL_SECONDS = 1  # between two checks of the queries
POLLING_CONF = {"spark.sql.streaming.pollingDelay": "200ms"}  # the default, 10 ms, takes a core

log = logging.getLogger(__name__)


class RunningQuery(NamedTuple):
    """A query and the InputErrors of its batches, which Spark reports as text alone."""

    query: StreamingQuery
    input_errors: list[InputError]


class BatchId(NamedTuple):
    """Identify a batch among those of all queries.

    A query that continues from its checkpoint has the same id, and one with a new checkpoint
    another. The numbers start at 0.
    """

    query: str
    number: int

    def __str__(self) -> str:
        return f"{self.query}#{self.number}"


def start_query(
    store: Store,
    frame: DataFrame,
    process_batch: Callable[[Store, DataFrame, BatchId], None],
    name: str,
    settings: StreamSettings,
    once: bool,
) -> RunningQuery:
    """Start a query that passes its batches to `process_batch`.

    It continues from the folder `name` in the checkpoint. `process_batch` gets a store, the rows
    and the id of a batch; all batches share the Spark session of that store. With `once` the query
    ends when it has processed what is available.
    """
    input_errors: list[InputError] = []
    started: Future[StreamingQuery] = Future()
    batch_store: Store | None = None

    def process_or_record_error(batch: DataFrame, number: int) -> None:
        nonlocal batch_store
        batch_store = batch_store or store.for_stream_batches(batch.sparkSession)
        try:
            # The first batch may begin before `start` returns the query.
            process_batch(batch_store, batch, BatchId(started.result().id, number))
        except InputError as error:
            input_errors.append(error)
            raise

    writer = frame.writeStream.foreachBatch(process_or_record_error).outputMode("update")
    writer = writer.option("checkpointLocation", f"{settings.checkpoint}/{name}")
    interval = f"{settings.trigger_seconds} seconds"
    writer = writer.trigger(availableNow=True) if once else writer.trigger(processingTime=interval)
    with session_conf(store.spark, POLLING_CONF):
        started.set_result(writer.start())
    return RunningQuery(started.result(), input_errors)


def watch_queries(
    running: Sequence[RunningQuery],
    progress: StreamProgress,
    on_idle: Callable[[], None],
    start_waiting: Callable[[], RunningQuery | None] | None = None,
) -> None:
    """Watch queries until one ends, then stop them all.

    `progress` counts the batches of the last query, and its reports are logged. `on_idle` is called
    whenever that query has no data. `start_waiting` is called until it returns a query, which is
    watched as well. Raises the InputError of a batch, or else Spark's error.
    """
    last_batch, last_timestamp, main = -1, None, running[-1].query
    running = [*running]
    try:
        while not any(_has_ended(*query) for query in running):
            if start_waiting is not None and (query := start_waiting()) is not None:
                running.insert(0, query)
                start_waiting = None
            if (newest := main.lastProgress) is not None:
                if newest["timestamp"] != last_timestamp:  # reading all progress is expensive
                    last_batch = _count_batches(main, progress, last_batch)
                    last_timestamp = newest["timestamp"]
                if not main.status["isDataAvailable"]:
                    on_idle()
            if (line := progress.report()) is not None:
                log.info(f"stream_profiles: {line}")
        _count_batches(main, progress, last_batch)
    finally:
        for running_query in running:
            running_query.query.stop()


def finished_batches(query: StreamingQuery, after: int) -> list[Mapping[str, Any]]:
    """Return Spark's progress of the finished batches with an id greater than `after`.

    An idle query reports its next batch before it has run; that one is left out.
    """
    return [
        batch
        for batch in query.recentProgress
        if batch["batchId"] > after and "addBatch" in batch["durationMs"]
    ]


def batch_seconds(batch: Mapping[str, Any]) -> float:
    """Return the duration of a finished batch in seconds."""
    return float(batch["durationMs"]["triggerExecution"]) / 1000


def _count_batches(query: StreamingQuery, progress: StreamProgress, last_batch: int) -> int:
    """Count the finished batches after `last_batch`, and return the id of the last one."""
    for batch in finished_batches(query, last_batch):
        progress.count_batch(batch["numInputRows"], batch_seconds(batch))
        last_batch = batch["batchId"]
    return last_batch


def _has_ended(query: StreamingQuery, input_errors: list[InputError]) -> bool:
    try:
        return bool(query.awaitTermination(POLL_SECONDS))
    except StreamingQueryException:
        if input_errors:
            raise input_errors[0] from None
        raise
