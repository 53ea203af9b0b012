"""What arrives, as files or by Kafka → the tables that ingest_events writes, as it comes."""

import os

from pyspark.sql import DataFrame

from profile_lib.config.settings import Settings
from profile_lib.delta.store import Store
from profile_lib.events.identity import read_pseudonym_key
from profile_lib.events.mapping import check_paths, map_events, read_mapping, stream_input
from profile_lib.pipelines.ingest_events import ingest_batch
from profile_lib.pipelines.stream_queries import RunningQuery, start_query


def start_arrivals(store: Store, settings: Settings, once: bool) -> RunningQuery:
    """A query that cleans and writes what arrives, as ingest_events does.

    Rows that break a rule go to rejected_events, however many: one poison event is all of a small
    batch, and stops nobody. What comes twice is written once, by its event_id.
    """
    ingest_settings = settings.ingest.model_copy(update={"max_rejected_share": 1.0})
    key = read_pseudonym_key(
        ingest_settings.pseudonym_key, ingest_settings.pseudonym_key_env, os.environ
    )
    mapping = read_mapping(ingest_settings.mapping)
    check_paths(mapping, ingest_settings.inputs)
    kafka = settings.stream.kafka if settings.stream.source == "kafka" else None

    def process_batch(store: Store, batch: DataFrame, _: int) -> None:
        if not batch.isEmpty():
            ingest_batch(
                store,
                mapping,
                ingest_settings,
                key,
                map_events(batch, mapping, ingest_settings.inputs),
            )

    arrived = stream_input(store.spark, mapping, ingest_settings.inputs["events"], kafka)
    return start_query(store, arrived, process_batch, "arrivals", settings.stream, once)
