"""Ingest files of a source into events, items, users, identity and rejected_events."""

import logging
from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.events import IngestSettings
from profile_lib.config.settings import Settings
from profile_lib.delta.merge import IS_DELETED
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.cleaning import clean_events
from profile_lib.events.column_mapping import read_events
from profile_lib.events.dimensions import (
    count_item_descriptions,
    read_declared_items,
    read_declared_users,
    summarise_seen_users,
    update_users,
)
from profile_lib.events.identity import build_event_id, pseudonymise
from profile_lib.events.rates import (
    RATE_COLUMNS,
    add_rate_reasons,
    find_impossible_rates,
    select_rate_history,
    select_retracted_events,
)
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.events.validation import (
    BatchSummary,
    build_rejected_events,
    deduplicate_events,
    describe_excess_rejections,
    summarise_batch,
)
from profile_lib.features.catalog import derive_items, merge_items
from profile_lib.features.changed_items import find_changed_keys
from profile_lib.pipelines.event_source import Source, find_latest_time, open_source
from profile_lib.spark.session import cached
from profile_lib.spark.timestamps import midnight
from profile_lib.tables import EVENTS, IDENTITY, ITEMS, REJECTED_EVENTS, USERS

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, day: date | None = None, *, now: datetime) -> None:
    """Ingest all events of the inputs, or those that arrived on `day`.

    Events that are stored already are not added again. An event after the date of `now`, or after
    `day`, is rejected as one from the future. Raises InputError, and writes nothing to `events`, if
    more than `ingest.max_rejected_share` of the rows is rejected, or if the key, the mapping or an
    input is missing or cannot be read.
    """
    source = open_source(settings.ingest)
    latest = find_latest_time(settings.ingest, day, now)
    paths = source.settings.inputs
    with explain_read_errors(source.mapping.name, ", ".join(paths.values())):
        mapped = read_events(store.spark, source.mapping, paths)
        ingest_batch(store, source, mapped, latest, day)


def ingest_batch(
    store: Store, source: Source, mapped: DataFrame, latest: datetime, day: date | None = None
) -> None:
    """Clean mapped rows, and write each table that depends on them.

    `latest` is the moment from which events count as in the future. With a `day` only rows that
    arrived on it are read. Raises InputError if too many rows are rejected.
    """
    with cached(clean_batch(mapped, source, latest, day)) as cleaned:
        _write_batch(store, source, cleaned, day)


def clean_batch(mapped: DataFrame, source: Source, latest: datetime, day: date | None) -> DataFrame:
    """Clean and deduplicate mapped rows.

    Returns them with the pseudonym as `user_id`, the id of the source as `raw_id`, and the array
    `reasons`, empty for a valid event.
    """
    raw_id = F.trim(F.col("user_id").cast("string"))
    mapped = mapped.withColumn("raw_id", F.when(raw_id != "", raw_id))
    mapped = mapped.withColumn("user_id", pseudonymise(F.col("raw_id"), source.key))
    mapped = mapped.withColumn("event_id", build_event_id(mapped, source.mapping.name))
    cleaned = clean_events(
        mapped,
        source.mapping.event_types,
        source.mapping.name,
        earliest=midnight(source.settings.earliest),
        latest=latest,
        max_text_chars=source.settings.max_text_chars,
    )
    if day is not None:
        cleaned = cleaned.where(F.coalesce(F.to_date("ingest_ts") == F.lit(day), F.lit(True)))
    return cleaned.repartition("user_id").transform(deduplicate_events)


def _write_batch(store: Store, source: Source, cleaned: DataFrame, day: date | None) -> None:
    """Write each table, `events` last, so that its users and items exist already."""
    summary = summarise_batch(cleaned)
    cleaned, retracted = _reject_fast_users(store, source.settings, cleaned, summary)
    if retracted is not None:
        summary = summarise_batch(cleaned)
    if summary.n_rejected or retracted is not None:
        rejected = cleaned.where(F.size("reasons") > 0)
        if retracted is not None:
            rejected = rejected.unionByName(retracted, allowMissingColumns=True)
        store.upsert(REJECTED_EVENTS, build_rejected_events(rejected), update=False)
    problem = describe_excess_rejections(cleaned, summary, source.settings.max_rejected_share)
    if problem is not None:
        raise InputError(problem)
    if summary.first_date is None:
        log.info("ingest_events: nothing arrived%s; nothing written", f" on {day}" if day else "")
        return
    good = cleaned.where(F.size("reasons") == 0)
    _write_users(store, source, good)
    _write_items(store, source, good)
    _write_events(store, good, retracted, summary)


def _reject_fast_users(
    store: Store, settings: IngestSettings, cleaned: DataFrame, summary: BatchSummary
) -> tuple[DataFrame, DataFrame | None]:
    """Add reasons to the events of users who are too fast.

    Also returns the stored events of these users, to be retracted; None if no user was too fast.
    """
    stored = store.read_or_empty(EVENTS).where(
        F.col("event_date").between(F.lit(summary.first_date), F.lit(summary.last_date))
    )
    history = select_rate_history(stored, store.read_or_empty(REJECTED_EVENTS))
    good = cleaned.where(F.size("reasons") == 0).select(*RATE_COLUMNS)
    rates = find_impossible_rates(
        history.unionByName(good), settings.max_events_per_minute, settings.max_events_per_day
    ).localCheckpoint()
    if rates.isEmpty():
        return cleaned, None
    return add_rate_reasons(cleaned, rates), select_retracted_events(stored, rates)


def _write_users(store: Store, source: Source, good: DataFrame) -> None:
    mapping = source.mapping
    seen = summarise_seen_users(good).localCheckpoint()
    name = F.lit(mapping.name).alias("source")
    store.upsert(IDENTITY, seen.select("user_id", "raw_id", name), update=False)
    path = "" if mapping.users is None else source.settings.inputs[mapping.users.input]
    declared = read_declared_users(store.spark, mapping, path, source.key)
    store.upsert(USERS, update_users(seen, declared, store.read_or_empty(USERS)))


def _write_items(store: Store, source: Source, good: DataFrame) -> None:
    """Write the changed items, from the source's catalog or else its events."""
    mapping = source.mapping
    path = "" if mapping.items is None else source.settings.inputs[mapping.items.input]
    declared = read_declared_items(store.spark, mapping, path)
    max_text_chars = source.settings.max_text_chars
    descriptions = count_item_descriptions(good, declared, max_text_chars).localCheckpoint()
    stored = store.read_or_empty(ITEMS)
    items = merge_items(derive_items(descriptions), stored).localCheckpoint()
    changed = find_changed_keys(stored, items, "item_id")
    store.upsert(ITEMS, items.join(changed, "item_id", "left_semi"))


def _write_events(
    store: Store, good: DataFrame, retracted: DataFrame | None, summary: BatchSummary
) -> None:
    """Add the new events and delete the retracted ones.

    A stored event stays as it is, even if it arrives again with a date one day earlier or later.
    """
    if store.exists(EVENTS):
        dates = F.date_sub(F.lit(summary.first_date), 1), F.date_add(F.lit(summary.last_date), 1)
        stored = store.read(EVENTS).where(F.col("event_date").between(*dates)).select("event_id")
        good = good.join(stored, "event_id", "left_anti")
    changes = good.select(*EVENTS.column_names(), F.lit(False).alias(IS_DELETED))
    if retracted is not None:
        deletions = retracted.select(*EVENTS.column_names(), F.lit(True).alias(IS_DELETED))
        changes = changes.unionByName(deletions)
    store.upsert(EVENTS, changes, update=False)
