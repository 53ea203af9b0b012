"""Ingest events as they arrive, in files or through Kafka."""

from collections.abc import Callable
from datetime import UTC, datetime

from pyspark.sql import DataFrame

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.column_mapping import map_events
from profile_lib.events.readers import stream_events
from profile_lib.pipelines.event_source import find_latest_time, open_source
from profile_lib.pipelines.ingest_events import ingest_batch
from profile_lib.pipelines.stream_queries import RunningQuery, start_query


def start_arrivals(
    store: Store, settings: Settings, once: bool, clock: Callable[[], float]
) -> RunningQuery:
    """Start a query that cleans and writes what arrives, as ingest_events does.

    Rows that break a rule go to rejected_events, however many there are, because one bad event may
    be all of a small batch. An event that arrives twice is written once, by its event_id. `clock`
    returns seconds since 1970, and is read once per batch to recognise events from the future. With
    `once` the query ends when it has processed what is available. Raises InputError as
    `open_source` does.
    """
    source = open_source(settings.ingest.model_copy(update={"max_rejected_share": 1.0}))
    paths = source.settings.inputs
    kafka = settings.stream.kafka if settings.stream.source == "kafka" else None

    def process_batch(store: Store, batch: DataFrame, _: int) -> None:
        if not batch.isEmpty():
            mapped = map_events(batch, source.mapping, paths)
            now = datetime.fromtimestamp(clock(), UTC)
            latest = find_latest_time(source.settings, None, now)
            ingest_batch(store, source, mapped, latest)

    arriving = stream_events(store.spark, source.mapping, paths["events"], kafka)
    return start_query(store, arriving, process_batch, "arrivals", settings.stream, once)
