"""What the queries of a stream share: how they start, and how they are watched."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery

from profile_lib.config.stream import StreamSettings
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.profiles.stream_progress import StreamProgress
from profile_lib.spark.session import session_conf

POLL_SECONDS = 1  # between two looks at the queries
POLLING_CONF = {
    "spark.sql.streaming.pollingDelay": "200ms"
}  # 10 ms would take all of a core to look


class RunningQuery(NamedTuple):
    """A query, and what its batches refused: Spark tells their errors as text alone."""

    query: StreamingQuery
    input_errors: list[InputError]


def start_query(
    store: Store,
    frame: DataFrame,
    process_batch: Callable[[Store, DataFrame, int], None],
    name: str,
    settings: StreamSettings,
    once: bool,
) -> RunningQuery:
    """A query that hands its batches to `process_batch`; it goes on where its part of the checkpoint says.

    They come with `store` by their session, which all batches share. With `once` the query ends
    when what is there is through.
    """
    input_errors: list[InputError] = []
    of_batches: Store | None = None

    def process_or_record_error(batch: DataFrame, batch_id: int) -> None:
        nonlocal of_batches
        of_batches = of_batches or store.for_stream_batches(batch.sparkSession)
        try:
            process_batch(of_batches, batch, batch_id)
        except InputError as error:
            input_errors.append(error)
            raise

    writer = frame.writeStream.foreachBatch(process_or_record_error).outputMode("update")
    writer = writer.option("checkpointLocation", f"{settings.checkpoint}/{name}")
    every = f"{settings.trigger_seconds} seconds"
    writer = writer.trigger(availableNow=True) if once else writer.trigger(processingTime=every)
    with session_conf(store.spark, POLLING_CONF):
        return RunningQuery(writer.start(), input_errors)


def watch_queries(
    running: Sequence[RunningQuery], progress: StreamProgress, on_idle: Callable[[], None]
) -> None:
    """Until a query ends: count the last one's batches, print a line a minute; `on_idle` may run
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
                    on_idle()
            if (line := progress.report()) is not None:
                print(f"stream_profiles: {line}", flush=True)
        _count(main, progress, last)
    finally:
        for one in running:
            one.query.stop()


def _has_ended(query: StreamingQuery, input_errors: list[InputError]) -> bool:
    try:
        return bool(query.awaitTermination(POLL_SECONDS))
    except StreamingQueryException:
        if input_errors:
            raise input_errors[0] from None
        raise


def _count(query: StreamingQuery, progress: StreamProgress, last: int) -> int:
    """Tell `progress` of the batches after `last`; the last one.

    A query that idles tells of the batch to come before it has run.
    """
    for batch in query.recentProgress:
        if batch["batchId"] > last and "addBatch" in batch["durationMs"]:
            progress.count_batch(
                batch["numInputRows"], batch["durationMs"]["triggerExecution"] / 1000
            )
            last = batch["batchId"]
    return last
