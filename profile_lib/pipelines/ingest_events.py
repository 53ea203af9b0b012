"""Files of any source, by a mapping → events, items, users, identity and rejected_events."""

import os
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.events import IngestSettings
from profile_lib.config.settings import Settings
from profile_lib.delta.merge import IS_DELETED
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.cleaning import clean_events
from profile_lib.events.declared_dimensions import (
    count_item_descriptions,
    read_declared_items,
    read_declared_users,
)
from profile_lib.events.identity import build_event_id, pseudonymise, read_pseudonym_key
from profile_lib.events.mapping import (
    SourceMapping,
    check_paths,
    explain_read_errors,
    read_events,
    read_mapping,
)
from profile_lib.events.user_dimension import summarise_seen_users, update_users
from profile_lib.events.validation import (
    RATE_COLUMNS,
    BatchSummary,
    add_rate_reasons,
    build_rejected_events,
    deduplicate_events,
    describe_excess_rejections,
    find_impossible_rates,
    select_rate_history,
    select_retracted_events,
    summarise_batch,
)
from profile_lib.features.catalog import derive_items, merge_items
from profile_lib.features.changed_items import find_changed_keys
from profile_lib.spark.moments import midnight
from profile_lib.spark.session import cached
from profile_lib.tables import EVENTS, IDENTITY, ITEMS, REJECTED_EVENTS, USERS


def run(store: Store, settings: Settings, day: date | None = None) -> None:
    """Ingest all that the inputs hold, or what arrived on `day`; a second time adds nothing.

    Nothing is written to `events` where more than `ingest.max_rejected_share` is rejected. A day
    on which nothing arrived writes nothing and is told.
    """
    ingest_settings = settings.ingest
    key = read_pseudonym_key(
        ingest_settings.pseudonym_key, ingest_settings.pseudonym_key_env, os.environ
    )
    mapping = read_mapping(ingest_settings.mapping)
    check_paths(mapping, ingest_settings.inputs)
    paths = ", ".join(ingest_settings.inputs.values())
    with explain_read_errors(mapping.name, paths):
        mapped = read_events(store.spark, mapping, ingest_settings.inputs)
        ingest_batch(store, mapping, ingest_settings, key, mapped, day)


def ingest_batch(
    store: Store,
    mapping: SourceMapping,
    ingest_settings: IngestSettings,
    key: bytes,
    mapped: DataFrame,
    day: date | None = None,
) -> None:
    """Clean mapped rows and write what they tell to each table."""
    with cached(clean_batch(mapped, mapping, ingest_settings, key, day)) as cleaned:
        write_batch(store, mapping, ingest_settings, key, cleaned, day)


def clean_batch(
    mapped: DataFrame,
    mapping: SourceMapping,
    ingest_settings: IngestSettings,
    key: bytes,
    day: date | None,
) -> DataFrame:
    """Mapped rows under the contract's columns with the reasons against them, each event once."""
    raw_id = F.trim(F.col("user_id").cast("string"))
    mapped = mapped.withColumn("raw_id", F.when(raw_id != "", raw_id))
    mapped = mapped.withColumn("user_id", pseudonymise(F.col("raw_id"), key))
    mapped = mapped.withColumn("event_id", build_event_id(mapped, mapping.name))
    latest = midnight((day or datetime.now(UTC).date()).isoformat()) + timedelta(days=1)
    if day is None and ingest_settings.latest is not None:
        latest = midnight(ingest_settings.latest)
    cleaned = clean_events(
        mapped,
        mapping.event_types,
        mapping.name,
        earliest=midnight(ingest_settings.earliest),
        latest=latest,
        max_text_chars=ingest_settings.max_text_chars,
    )
    if day is not None:
        cleaned = cleaned.where(F.coalesce(F.to_date("ingest_ts") == F.lit(day), F.lit(True)))
    return cleaned.repartition("user_id").transform(deduplicate_events)


def write_batch(
    store: Store,
    mapping: SourceMapping,
    ingest_settings: IngestSettings,
    key: bytes,
    cleaned: DataFrame,
    day: date | None,
) -> None:
    """Judge the batch, then write each table; `events` last, so that it names nobody unknown."""
    summary = summarise_batch(cleaned)
    stored = store.read_or_empty(EVENTS).where(
        F.col("event_date").between(F.lit(summary.first_date), F.lit(summary.last_date))
    )
    rates = find_impossible_rates(
        select_rate_history(stored, store.read_or_empty(REJECTED_EVENTS)).unionByName(
            cleaned.where(F.size("reasons") == 0).select(*RATE_COLUMNS)
        ),
        ingest_settings.max_events_per_minute,
        ingest_settings.max_events_per_day,
    ).localCheckpoint()
    retracted = None
    if not rates.isEmpty():
        cleaned, retracted = (
            add_rate_reasons(cleaned, rates),
            select_retracted_events(stored, rates),
        )
        summary = summarise_batch(cleaned)
    if summary.n_rejected or retracted is not None:
        bad = cleaned.where(F.size("reasons") > 0)
        bad = bad if retracted is None else bad.unionByName(retracted, allowMissingColumns=True)
        store.upsert(REJECTED_EVENTS, build_rejected_events(bad), update=False)
    if (
        refused := describe_excess_rejections(cleaned, summary, ingest_settings.max_rejected_share)
    ) is not None:
        raise InputError(refused)
    if summary.first_date is None:
        print(f"ingest_events: nothing arrived{f' on {day}' if day else ''}; nothing written")
        return
    good = cleaned.where(F.size("reasons") == 0)
    write_users(store, mapping, ingest_settings, key, good)
    write_items(store, mapping, ingest_settings, good)
    write_events(store, good, retracted, summary)


def write_users(
    store: Store,
    mapping: SourceMapping,
    ingest_settings: IngestSettings,
    key: bytes,
    good: DataFrame,
) -> None:
    """Who they are, and what is known of them."""
    seen = summarise_seen_users(good).localCheckpoint()
    source = F.lit(mapping.name).alias("source")
    store.upsert(IDENTITY, seen.select("user_id", "raw_id", source), update=False)
    path = "" if mapping.users is None else ingest_settings.inputs[mapping.users.input]
    declared = read_declared_users(store.spark, mapping, path, key)
    store.upsert(USERS, update_users(seen, declared, store.read_or_empty(USERS)))


def write_items(
    store: Store, mapping: SourceMapping, ingest_settings: IngestSettings, good: DataFrame
) -> None:
    """The catalogue: as the source gives it, else as the events tell it."""
    path = "" if mapping.items is None else ingest_settings.inputs[mapping.items.input]
    declared = read_declared_items(store.spark, mapping, path)
    told = count_item_descriptions(good, declared, ingest_settings.max_text_chars).localCheckpoint()
    stored = store.read_or_empty(ITEMS)
    items = merge_items(derive_items(told), stored).localCheckpoint()
    changed = find_changed_keys(stored, items, "item_id")  # what stays is not written again
    store.upsert(ITEMS, items.join(changed, "item_id", "left_semi"))


def write_events(
    store: Store, good: DataFrame, retracted: DataFrame | None, summary: BatchSummary
) -> None:
    """What is new in, what was taken back out.

    An event that is there stays as it is, also where it comes again as of the day before or after.
    """
    if store.exists(EVENTS):
        around = F.date_sub(F.lit(summary.first_date), 1), F.date_add(F.lit(summary.last_date), 1)
        near = store.read(EVENTS).where(F.col("event_date").between(*around)).select("event_id")
        good = good.join(near, "event_id", "left_anti")
    changes = good.select(*EVENTS.column_names(), F.lit(False).alias(IS_DELETED))
    if retracted is not None:
        gone = retracted.select(*EVENTS.column_names(), F.lit(True).alias(IS_DELETED))
        changes = changes.unionByName(gone)
    store.upsert(EVENTS, changes, update=False)
