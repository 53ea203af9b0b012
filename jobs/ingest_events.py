"""Files of any source, by a mapping → events, items, users, identity and rejected_events."""

import os
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.command import main
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.events.batch import (
    SEEN,
    Extent,
    extent,
    impossible_rates,
    keep_first,
    known_before,
    mark_rates,
    taken_back,
    to_rejected,
    too_much_rejected,
)
from profile_lib.events.clean import clean_events
from profile_lib.events.declared import count_told, declared_items, declared_users
from profile_lib.events.identity import event_id, pseudonym, pseudonym_key
from profile_lib.events.source import (
    SourceMapping,
    check_paths,
    read_events,
    read_mapping,
    readable,
)
from profile_lib.events.users import declare_users, seen_users
from profile_lib.features.catalogue import derive_items, merge_items
from profile_lib.features.changed import changed_rows
from profile_lib.merge import IS_DELETED
from profile_lib.sections.data import IngestSettings
from profile_lib.spark import kept
from profile_lib.store import Store
from profile_lib.tables import EVENTS, IDENTITY, ITEMS, REJECTED_EVENTS, USERS
from profile_lib.timeline import midnight


def run(store: Store, settings: Settings, day: date | None) -> None:
    """Ingest all that the inputs hold, or what arrived on `day`; a second time adds nothing.

    Nothing is written to `events` where more than `ingest.max_rejected_share` is rejected. A day
    on which nothing arrived writes nothing and is told.
    """
    given = settings.ingest
    key = pseudonym_key(given.pseudonym_key, given.pseudonym_key_env, os.environ)
    mapping = read_mapping(given.mapping)
    check_paths(mapping, given.inputs)
    paths = ", ".join(given.inputs.values())
    with readable(mapping.name, paths):
        mapped = read_events(store.spark, mapping, given.inputs)
        ingest(store, mapping, given, key, mapped, day)


def ingest(
    store: Store,
    mapping: SourceMapping,
    given: IngestSettings,
    key: bytes,
    mapped: DataFrame,
    day: date | None = None,
) -> None:
    """Clean mapped rows and write what they tell to each table."""
    with kept(clean(mapped, mapping, given, key, day)) as cleaned:
        write(store, mapping, given, key, cleaned, day)


def clean(
    mapped: DataFrame, mapping: SourceMapping, given: IngestSettings, key: bytes, day: date | None
) -> DataFrame:
    """Mapped rows under the contract's columns with the reasons against them, each event once."""
    raw_id = F.trim(F.col("user_id").cast("string"))
    mapped = mapped.withColumn("raw_id", F.when(raw_id != "", raw_id))
    mapped = mapped.withColumn("user_id", pseudonym(F.col("raw_id"), key))
    mapped = mapped.withColumn("event_id", event_id(mapped, mapping.name))
    latest = midnight((day or datetime.now(UTC).date()).isoformat()) + timedelta(days=1)
    if day is None and given.latest is not None:
        latest = midnight(given.latest)
    cleaned = clean_events(
        mapped,
        mapping.kinds,
        mapping.name,
        earliest=midnight(given.earliest),
        latest=latest,
        max_text_chars=given.max_text_chars,
    )
    if day is not None:
        cleaned = cleaned.where(F.coalesce(F.to_date("ingest_ts") == F.lit(day), F.lit(True)))
    return cleaned.repartition("user_id").transform(keep_first)


def write(
    store: Store,
    mapping: SourceMapping,
    given: IngestSettings,
    key: bytes,
    cleaned: DataFrame,
    day: date | None,
) -> None:
    """Judge the batch, then write each table; `events` last, so that it names nobody unknown."""
    found = extent(cleaned)
    stored = store.read_or_empty(EVENTS).where(
        F.col("event_date").between(F.lit(found.first), F.lit(found.last))
    )
    rates = impossible_rates(
        known_before(stored, store.read_or_empty(REJECTED_EVENTS)).unionByName(
            cleaned.where(F.size("reasons") == 0).select(*SEEN)
        ),
        given.max_events_a_minute,
        given.max_events_a_day,
    ).localCheckpoint()
    back = None
    if not rates.isEmpty():
        cleaned, back = mark_rates(cleaned, rates), taken_back(stored, rates)
        found = extent(cleaned)
    if found.rejected or back is not None:
        bad = cleaned.where(F.size("reasons") > 0)
        bad = bad if back is None else bad.unionByName(back, allowMissingColumns=True)
        store.upsert(REJECTED_EVENTS, to_rejected(bad), update=False)
    if (refused := too_much_rejected(cleaned, found, given.max_rejected_share)) is not None:
        raise InputError(refused)
    if found.first is None:
        print(f"ingest_events: nothing arrived{f' on {day}' if day else ''}; nothing written")
        return
    good = cleaned.where(F.size("reasons") == 0)
    write_users(store, mapping, given, key, good)
    write_items(store, mapping, given, good)
    write_events(store, good, back, found)


def write_users(
    store: Store, mapping: SourceMapping, given: IngestSettings, key: bytes, good: DataFrame
) -> None:
    """Who they are, and what is known of them."""
    seen = seen_users(good).localCheckpoint()
    source = F.lit(mapping.name).alias("source")
    store.upsert(IDENTITY, seen.select("user_id", "raw_id", source), update=False)
    path = "" if mapping.users is None else given.inputs[mapping.users.input]
    declared = declared_users(store.spark, mapping, path, key)
    store.upsert(USERS, declare_users(seen, declared, store.read_or_empty(USERS)))


def write_items(
    store: Store, mapping: SourceMapping, given: IngestSettings, good: DataFrame
) -> None:
    """The catalogue: as the source gives it, else as the events tell it."""
    path = "" if mapping.items is None else given.inputs[mapping.items.input]
    declared = declared_items(store.spark, mapping, path)
    told = count_told(good, declared, given.max_text_chars).localCheckpoint()
    stored = store.read_or_empty(ITEMS)
    items = merge_items(derive_items(told), stored).localCheckpoint()
    changed = changed_rows(stored, items, "item_id")  # what stays is not written again
    store.upsert(ITEMS, items.join(changed, "item_id", "left_semi"))


def write_events(store: Store, good: DataFrame, back: DataFrame | None, found: Extent) -> None:
    """What is new in, what was taken back out.

    An event that is there stays as it is, also where it comes again as of the day before or after.
    """
    if store.exists(EVENTS):
        around = F.date_sub(F.lit(found.first), 1), F.date_add(F.lit(found.last), 1)
        near = store.read(EVENTS).where(F.col("event_date").between(*around)).select("event_id")
        good = good.join(near, "event_id", "left_anti")
    changes = good.select(*EVENTS.names(), F.lit(False).alias(IS_DELETED))
    if back is not None:
        gone = back.select(*EVENTS.names(), F.lit(True).alias(IS_DELETED))
        changes = changes.unionByName(gone)
    store.upsert(EVENTS, changes, update=False)


if __name__ == "__main__":
    main("ingest_events", run, __doc__)
