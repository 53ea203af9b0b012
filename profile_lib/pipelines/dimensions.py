"""Write the users and items of a batch.

Other jobs may write at the same time, and a run that was killed may be repeated.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.events.dimensions import (
    build_users,
    merged_user_columns,
    select_changed_users,
    summarise_seen_users,
)
from profile_lib.events.item_statistics import (
    IS_NEW_BATCH,
    build_item_statistics,
    merged_statistics,
)
from profile_lib.features.catalog import (
    add_keywords,
    compare_items,
    derive_items,
    select_differing_items,
)
from profile_lib.spark.session import cached
from profile_lib.tables import IDENTITY, ITEM_STATISTICS, ITEMS, USERS


def write_users(store: Store, events: DataFrame, declared: DataFrame | None, source: str) -> None:
    """Add the users of a batch to `identity` and `users`, and merge declared facts.

    `events` has the columns user_id, raw_id and event_ts, and `declared` is the result of
    `declared_users`. The merge takes the latest of each fact and the earliest event, so it may be
    repeated, and batches may come in any order. Nothing is committed if nothing changed.
    """
    users = build_users(summarise_seen_users(events), declared)
    with cached(select_changed_users(users, store.read_or_empty(USERS))) as changed:
        new = changed.where("raw_id IS NOT NULL")
        space = F.coalesce("id_space", F.lit(source)).alias("source")
        identity = new.select("user_id", "raw_id", space)
        store.upsert(IDENTITY, identity, update=False)
        store.upsert(USERS, changed.drop("raw_id", "id_space"), update_values=merged_user_columns())


def write_items(
    store: Store,
    events: DataFrame,
    declared: DataFrame | None,
    max_text_chars: int,
    batch_id: str,
) -> None:
    """Count what new events say about items, and derive the catalog from all counts.

    `events` holds only events that were not counted before: item_id, price and, if the source has
    them, title, category and brand. `declared` is the result of `declared_items`. Call it before
    the events are stored: a repeated run then finds the same new events, and `batch_id`, equal for
    equal events, keeps them from being counted twice.
    """
    statistics = build_item_statistics(events, declared, max_text_chars, batch_id)
    store.upsert(ITEM_STATISTICS, statistics, guard=IS_NEW_BATCH, update_values=merged_statistics())
    derive_catalog(store)


def derive_catalog(store: Store) -> None:
    """Write the items that differ from what the statistics say.

    A price level depends on all items of a category, so no MERGE can compute it. Another writer may
    add statistics in the meantime, or have read older ones and write its items last. Each writer
    therefore repeats this until the statistics are still those that it read; the last one to add
    statistics leaves the catalog of all of them.
    """
    while True:
        version = store.version(ITEM_STATISTICS)
        derived = derive_items(store.read(ITEM_STATISTICS))
        compared = compare_items(derived, store.read_or_empty(ITEMS)).localCheckpoint()
        # The keywords follow from the titles, and take longer than this check.
        if store.exists(ITEMS) and select_differing_items(compared).isEmpty():
            return
        changed = select_differing_items(add_keywords(compared))
        store.upsert(ITEMS, changed.select(*ITEMS.column_names()))
        if store.version(ITEM_STATISTICS) == version:
            return
