"""What arrives, as files or by Kafka → the tables that ingest_events writes, as it comes."""

import os

from pyspark.sql import DataFrame

from jobs.ingest_events import ingest
from jobs.streaming import Running, start_query
from profile_lib.config import Settings
from profile_lib.events.identity import pseudonym_key
from profile_lib.events.source import check_paths, map_events, read_mapping, stream_input
from profile_lib.store import Store


def start_arrivals(store: Store, settings: Settings, once: bool) -> Running:
    """A query that cleans and writes what arrives, as ingest_events does.

    Rows that break a rule go to rejected_events, however many: one poison event is all of a small
    batch, and stops nobody. What comes twice is written once, by its event_id.
    """
    given = settings.ingest.model_copy(update={"max_rejected_share": 1.0})
    key = pseudonym_key(given.pseudonym_key, given.pseudonym_key_env, os.environ)
    mapping = read_mapping(given.mapping)
    check_paths(mapping, given.inputs)
    kafka = settings.stream.kafka if settings.stream.source == "kafka" else None

    def bring(store: Store, batch: DataFrame, _: int) -> None:
        if not batch.isEmpty():
            ingest(store, mapping, given, key, map_events(batch, mapping, given.inputs))

    arrived = stream_input(store.spark, mapping, given.inputs["events"], kafka)
    return start_query(store, arrived, bring, "arrivals", settings.stream, once)
