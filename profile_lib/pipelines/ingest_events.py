"""Ingest new files of a source into events, items, users, identity and rejected_events."""

import logging
from datetime import date, datetime

from profile_lib.config.settings import Settings
from profile_lib.delta.pseudonym_versions import check_key
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.events.readers import read_rows
from profile_lib.pipelines.event_source import Source, find_latest_time, open_source
from profile_lib.pipelines.file_ledger import (
    NewFiles,
    find_new_files,
    identify_batch,
    record_files,
)
from profile_lib.pipelines.ingest_batch import write_batch
from profile_lib.pipelines.link_people import update_people, write_links
from profile_lib.pipelines.report_quality import write_quality_report
from profile_lib.pipelines.suppress_list import read_suppress_list
from profile_lib.pipelines.user_histories import update_histories
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.frames import union_all
from profile_lib.spark.session import session_conf
from profile_lib.tables import USER_HISTORIES

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, day: date | None = None, *, now: datetime) -> None:
    """Ingest new files, or only those that arrived on `day`.

    The arrival of a file is the time of its last change. Events that are stored already are not
    added again. An event after the date of `now`, or after `day`, is rejected as one from the
    future. Then the histories of users, if a job has built them, and the report on data quality are
    brought up to date. Raises InputError, and writes nothing to
    `events`, if more rows are rejected than `ingest.max_rejected_share` and `ingest.max_shares`
    allow, or if the key, the mapping or an input is missing or cannot be read.
    """
    with session_conf(store.spark, LENIENT_CONF):
        source = open_source(store.spark, settings.ingest, settings.people)
        paths = source.settings.inputs
        name = source.mapping.name
        new_files = [
            find_new_files(store, name, plan, paths[plan.name], day) for plan in source.event_plans
        ]
        try:
            ingest_new_files(store, source, new_files, day, now)
        except InputError:  # too many rows break a rule: the report shows which
            write_quality_report(store, settings, now.date())
            raise
        write_quality_report(store, settings, now.date())
    if store.exists(USER_HISTORIES):
        update_histories(store, settings)


def ingest_new_files(
    store: Store, source: Source, new_files: list[NewFiles], day: date | None, now: datetime
) -> None:
    """Ingest files as one batch, and add them to the ledger.

    Raises InputError, and writes nothing, if the tables have another version of the key.
    """
    check_key(store, source.pseudonyms.fingerprints)
    name = source.mapping.name
    load_date, latest = day or now.date(), find_latest_time(source.settings, day, now)
    batch_id = identify_batch(new_files)
    if not any(new.n_files for new in new_files):
        log.info(f"{name}: nothing arrived{f' on {day}' if day else ''}")
        if any(new.n_copies for new in new_files):
            record_files(store, name, new_files, batch_id, load_date)
        if source.people is not None and source.mapping.links is not None:
            write_links(store, source, None, read_suppress_list(store))
            update_people(store, source.people)
        return
    lookups = source.read_lookups(store.spark)
    with explain_read_errors(name, ", ".join(source.settings.inputs.values())):
        judged = [
            source.judge_rows(
                read_rows(store.spark, new.plan, new.to_read()), new.plan, lookups, latest
            )
            for new in new_files
            if new.n_files
        ]
        write_batch(store, source, union_all(judged), batch_id, load_date)
    record_files(store, name, new_files, batch_id, load_date)
