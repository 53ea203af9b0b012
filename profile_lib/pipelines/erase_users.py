"""Erase people from all tables and copies, and keep them out."""

import logging
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.erasing import remove_history
from profile_lib.delta.merge import deletion_rows
from profile_lib.delta.pseudonym_versions import check_key
from profile_lib.delta.store import Store
from profile_lib.pipelines.erase_copies import erase_copies
from profile_lib.pipelines.erase_models import list_models
from profile_lib.pipelines.erase_tables import (
    erase_rows,
    find_tables_with_history,
    owned_tables,
    remove_histories,
)
from profile_lib.pipelines.erasure_receipts import (
    find_remaining_file,
    mark_verified,
    set_gone_time,
    write_table_receipts,
)
from profile_lib.pipelines.erasure_requests import register_requests
from profile_lib.pipelines.event_source import read_key
from profile_lib.spark.timestamps import from_micros
from profile_lib.tables import ERASURE_RECEIPTS, ERASURES

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, *, now: datetime) -> None:
    """Erase the people of `erase.requests` and of pending requests, and complete those due.

    The people go on the suppress list, then their rows are deleted from all tables and copies. A
    request stays pending for `erase.grace_hours` after the last row was found, because jobs that
    read the tables before may write rows again, and still need earlier versions. A later run
    deletes these rows, removes the earlier versions, verifies the receipts and completes the
    request. A run that was killed is continued by the next one. Raises InputError as
    `register_requests` does, and if the tables have another version of the key.
    """
    pseudonyms = read_key(settings.ingest)
    check_key(store, pseudonyms.fingerprints)
    config = settings.erase
    if config.requests is not None:
        n_people = register_requests(store, config.requests, pseudonyms, now)
        log.info(f"{config.requests}: {n_people:,} ids requested")
    people = store.read_or_empty(ERASURES).localCheckpoint()
    if people.isEmpty():
        log.info("erase_users: no request is pending")
        if store.exists(ERASURES):  # the last run may have ended before it removed the ids
            remove_history(store, ERASURES, retention_hours=0)
        return
    ids = people.select("request", "user_id")
    n_rows = erase_rows(store, ids)
    is_removed = erase_copies(store, settings, ids, now)
    _date_requests(store, ids, config.grace_hours)
    found_micros = F.unix_micros(F.max("found_ts")).alias("found_micros")
    requests = store.read(ERASURES).groupBy("request").agg(found_micros).collect()
    found = {r["request"]: from_micros(r["found_micros"]) for r in requests}
    list_models(store, settings, [table for table, _ in owned_tables(store)], found)
    remove_histories(store, config.grace_hours)
    log.info(f"erase_users: {n_rows:,} rows erased")
    for request, found_ts in found.items():
        problem = _find_problem(store, request, found_ts, config.grace_hours, now)
        if problem is None and not is_removed:
            problem = "because a training is running: run this again when it has ended"
        if problem is not None:
            log.info(f"request {request}: pending, {problem}")
        else:
            _complete(store, request, now)
    remove_history(store, ERASURES, retention_hours=0)


def _date_requests(store: Store, ids: DataFrame, grace_hours: float) -> None:
    """Store the time of this run's end with requests and receipts that have none."""
    write_table_receipts(store, ids, [table.name for table, _ in owned_tables(store)])
    ended_ts = store.commit_time(ERASURE_RECEIPTS, store.version(ERASURE_RECEIPTS))
    undated = store.read(ERASURES).where("found_ts IS NULL")
    store.upsert(ERASURES, undated.withColumn("found_ts", F.lit(ended_ts)))
    requests = store.read(ERASURES).select("request", "found_ts").distinct()
    set_gone_time(store, requests, grace_hours)


def _find_problem(
    store: Store, request: str, found_ts: datetime, grace_hours: float, now: datetime
) -> str | None:
    """Return why a request is not complete; None if it is."""
    due_ts = found_ts + timedelta(hours=grace_hours)
    if grace_hours and now < due_ts:
        return f"until erase.grace_hours have passed: run this again from {due_ts:%F %R} UTC on"
    if tables := find_tables_with_history(store, found_ts):
        return f"because the logs of {', '.join(tables)} reach back too far: run this again"
    if (file := find_remaining_file(store, request)) is not None:
        return f"because {file} still exists: run this again"
    return None


def _complete(store: Store, request: str, now: datetime) -> None:
    """Verify the receipts of a request, then remove its ids."""
    mark_verified(store, request, now)
    ids = store.read(ERASURES).where(F.col("request") == request)
    store.upsert(ERASURES, deletion_rows(ERASURES, ids.select(*ERASURES.key)))
    log.info(f"request {request}: complete; see {ERASURE_RECEIPTS.name}")
