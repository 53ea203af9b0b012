"""Files of any source, by a mapping → events, items, users, identity and rejected_events."""

import os
from datetime import date, timedelta

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.command import main
from profile_lib.config import IngestSettings, Settings
from profile_lib.errors import InputError
from profile_lib.events.batch import impossible_rates, keep_first, mark_rates, to_rejected
from profile_lib.events.clean import clean_events, normalised
from profile_lib.events.identity import pseudonym, pseudonym_key
from profile_lib.events.source import (
    SourceMapping,
    check_paths,
    read_events,
    read_input,
    read_mapping,
    readable,
    select,
)
from profile_lib.events.users import declare_users
from profile_lib.features.catalogue import derive_items, merge_items
from profile_lib.store import IS_DELETED, Store
from profile_lib.tables import EVENTS, IDENTITY, ITEMS, REJECTED_EVENTS, USERS
from profile_lib.timeline import midnight

ABOUT_ITEMS = ("title", "category", "brand")
WORST = 3  # reasons that are told where too much is rejected


def run(store: Store, settings: Settings, day: date | None) -> None:
    """Ingest all that the inputs hold, or what arrived on `day`; a second time adds nothing.

    Nothing is written to `events` where more than `ingest.max_rejected_share` is rejected. A day
    on which nothing arrived writes nothing and is told.
    """
    given = settings.ingest
    key = pseudonym_key(given.pseudonym_key, given.pseudonym_key_env, os.environ)
    mapping = read_mapping(given.mapping)
    check_paths(mapping, given.inputs)
    with readable(mapping.name, ", ".join(given.inputs.values())):
        cleaned = clean(store, mapping, given, key, day).persist(StorageLevel.DISK_ONLY)
        try:
            write(store, mapping, given, cleaned, key, day)
        finally:
            cleaned.unpersist()


def clean(
    store: Store, mapping: SourceMapping, given: IngestSettings, key: bytes, day: date | None
) -> DataFrame:
    """The source's rows under the contract's columns with the reasons against them, each once."""
    mapped = read_events(store.spark, mapping, given.inputs)
    raw_id = F.trim(F.col("user_id").cast("string"))
    mapped = mapped.withColumn("raw_id", F.when(raw_id != "", raw_id))
    mapped = mapped.withColumn("user_id", pseudonym(F.col("raw_id"), key))
    mapped = mapped.withColumn("event_id", event_id(mapped, mapping.name))
    latest = None if given.latest is None else midnight(given.latest)
    if day is not None:
        latest = midnight(day.isoformat()) + timedelta(days=1)
    cleaned = clean_events(
        mapped,
        mapping.kinds,
        mapping.name,
        earliest=midnight(given.earliest),
        latest=latest,
        max_text_chars=given.max_text_chars,
    )
    for name in ABOUT_ITEMS:
        text = F.col(name) if name in cleaned.columns else F.lit(None).cast("string")
        lower = name != "title"
        cleaned = cleaned.withColumn(name, normalised(text, given.max_text_chars, lower))
    if day is not None:
        cleaned = cleaned.where(F.coalesce(F.to_date("ingest_ts") == F.lit(day), F.lit(True)))
    return cleaned.repartition("user_id").transform(keep_first)


def event_id(mapped: DataFrame, source: str) -> Column:
    """What the source gives, else a hash of the mapped row."""
    parts = [F.coalesce(F.col(c).cast("string"), F.lit("\0")) for c in sorted(mapped.columns)]
    hashed = F.sha2(F.concat_ws("\x1f", F.lit(source), *parts), 256)
    if "event_id" not in mapped.columns:
        return hashed
    return F.coalesce(F.col("event_id").cast("string"), hashed)


def write(
    store: Store,
    mapping: SourceMapping,
    given: IngestSettings,
    cleaned: DataFrame,
    key: bytes,
    day: date | None,
) -> None:
    """Judge the batch, then write each table; `events` last, so that it names nobody unknown."""
    good = cleaned.where(F.size("reasons") == 0)
    span = good.agg(F.min("event_date"), F.max("event_date")).first()
    assert span is not None
    stored = stored_events(store, span[0], span[1])
    rates = impossible_rates(
        seen_before(store, stored).unionByName(good.select("user_id", "event_id", "event_ts")),
        given.max_events_a_minute,
        given.max_events_a_day,
    ).localCheckpoint()
    taken_back = None
    if not rates.isEmpty():
        cleaned = mark_rates(cleaned, rates)
        good = cleaned.where(F.size("reasons") == 0)
        taken_back = mark_rates(stored.withColumn("reasons", no_reasons()), rates).where(
            F.size("reasons") > 0
        )
    bad = cleaned.where(F.size("reasons") > 0)
    rejected = bad if taken_back is None else bad.unionByName(taken_back, allowMissingColumns=True)
    refused = too_much_rejected(cleaned, given.max_rejected_share)
    store.upsert(REJECTED_EVENTS, to_rejected(rejected), update=False)
    if refused is not None:
        raise InputError(refused)
    if span[0] is None:
        print(f"ingest_events: nothing arrived{f' on {day}' if day else ''}; nothing written")
        return
    people = good.select("user_id", "raw_id", F.lit(mapping.name).alias("source"))
    store.upsert(IDENTITY, people.dropDuplicates(["user_id"]), update=False)
    store.upsert(
        USERS, declare_users(good, declared(store, mapping, given, key), read_users(store))
    )
    said = catalogue(store, mapping, given, good)
    store.replace(
        ITEMS, merge_items(derive_items(said), store.read_or_empty(ITEMS)).localCheckpoint()
    )
    events = good.select(*EVENTS.names())
    if not store.exists(EVENTS):
        store.append(EVENTS, events)
        return
    marked = events.withColumn(IS_DELETED, F.lit(False))
    if taken_back is not None:
        back = taken_back.select(*EVENTS.names()).withColumn(IS_DELETED, F.lit(True))
        marked = marked.unionByName(back)
    prune = f"target.event_date BETWEEN '{span[0]}' AND '{span[1]}'"
    store.upsert(EVENTS, marked, update=False, prune=prune)


def stored_events(store: Store, first: date | None, last: date | None) -> DataFrame:
    """The events that are there already of the days that the batch touches."""
    events = store.read_or_empty(EVENTS)
    return events.where(F.col("event_date").between(F.lit(first), F.lit(last)))


def seen_before(store: Store, stored: DataFrame) -> DataFrame:
    """What counts for rates beside the batch: stored events, and those rejected for their rate."""
    columns = ["user_id", "event_id", "event_ts"]
    rejected = store.read_or_empty(REJECTED_EVENTS).where(
        F.exists("reasons", lambda r: r.startswith("more events in a "))
    )
    return stored.select(*columns).unionByName(rejected.select(*columns))


def read_users(store: Store) -> DataFrame:
    """The users that are known already."""
    return store.read_or_empty(USERS)


def declared(
    store: Store, mapping: SourceMapping, given: IngestSettings, key: bytes
) -> DataFrame | None:
    """What the source declares of users, by pseudonym; None where it has no such input."""
    users = mapping.users
    if users is None:
        return None
    path = given.inputs[users.input]
    frame = read_input(store.spark, mapping, users.input, path)
    columns = {"raw_id": users.user_id}
    for name in ("age_band", "gender", "region"):
        columns[name] = getattr(users, name) or "CAST(NULL AS STRING)"
    facts = select(frame, columns | users.attributes, f"{mapping.name}.users", path)
    raw_id = F.trim(F.col("raw_id").cast("string"))
    pairs = [c for n in users.attributes for c in (F.lit(n), F.col(n).cast("string"))]
    attributes = F.create_map(*pairs).cast("map<string,string>")
    return facts.select(
        pseudonym(raw_id, key).alias("user_id"),
        *[F.col(n).cast("string").alias(n) for n in ("age_band", "gender", "region")],
        F.map_filter(attributes, lambda _, value: value.isNotNull()).alias("attributes"),
    ).dropDuplicates(["user_id"])


def catalogue(
    store: Store, mapping: SourceMapping, given: IngestSettings, good: DataFrame
) -> DataFrame:
    """Rows that each say something of an item: those of the events, and of a given catalogue."""
    said = good.select("item_id", *ABOUT_ITEMS, "price")
    items = mapping.items
    if items is None:
        return said
    path = given.inputs[items.input]
    frame = read_input(store.spark, mapping, items.input, path)
    columns = {n: getattr(items, n) or "CAST(NULL AS STRING)" for n in (*said.columns,)}
    told = select(frame, columns, f"{mapping.name}.items", path)
    limit = given.max_text_chars
    texts = [normalised(F.col(n), limit, n != "title").alias(n) for n in ABOUT_ITEMS]
    price = F.expr("try_cast(price AS DOUBLE)").alias("price")
    prices_alone = said.select(
        "item_id", *[F.lit(None).cast("string").alias(n) for n in ABOUT_ITEMS], "price"
    )
    return told.select(F.col("item_id").cast("string").alias("item_id"), *texts, price).unionByName(
        prices_alone
    )


def too_much_rejected(cleaned: DataFrame, limit: float) -> str | None:
    """The sentence that stops the job, or None."""
    counts = cleaned.agg(F.count("*"), F.count_if(F.size("reasons") > 0)).first()
    assert counts is not None
    n, rejected = counts
    if rejected <= limit * n:
        return None
    reason = F.explode(F.transform("reasons", lambda r: F.regexp_replace(r, ":.*", "")))
    worst = cleaned.select(reason.alias("reason")).groupBy("reason").count()
    told = worst.orderBy(F.desc("count"), "reason").limit(WORST).collect()
    reasons = ", ".join(f"{row['count']:,} × {row['reason']}" for row in told)
    return (
        f"events: {rejected / n:.1%} of {n:,} rows rejected (limit {limit:.1%}): {reasons}; "
        "nothing was added to events: see rejected_events, and mend the source or its mapping"
    )


def no_reasons() -> Column:
    """An empty list of reasons."""
    return F.array().cast("array<string>")


if __name__ == "__main__":
    main("ingest_events", run, __doc__)
