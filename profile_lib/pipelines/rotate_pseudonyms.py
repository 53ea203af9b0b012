"""Bring the pseudonyms of all tables to a new version of the key."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import Row
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.pseudonym_versions import (
    check_same_keys,
    read_versions,
    write_version,
)
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.events.identity import Pseudonyms
from profile_lib.events.renewal import has_pseudonyms, renew_rows
from profile_lib.pipelines.bucket_refresh import replace_state_rows
from profile_lib.pipelines.event_source import read_key
from profile_lib.pipelines.record_history import record_history
from profile_lib.progress import Progress
from profile_lib.tables import (
    EVENTS,
    PEOPLE,
    PROFILE_REFRESH_STATE,
    RECOMMENDATION_REFRESH_STATE,
    TABLES,
    USER_HISTORIES,
    USER_HISTORIES_STATE,
    USER_PROFILES,
    USERS,
    Table,
)
from profile_lib.tables.table import USER_BUCKET

REWRITER = "rotate_pseudonyms"  # names the commits of this job in the logs of the tables
# State of refreshes → its columns of versions, each with the table that it is a version of. The
# table `items` holds no pseudonyms, so its version may be an older one.
STATE_SOURCES: tuple[tuple[Table, dict[str, Table]], ...] = (
    (
        PROFILE_REFRESH_STATE,
        {"events_version": EVENTS, "users_version": USERS, "people_version": PEOPLE},
    ),
    (RECOMMENDATION_REFRESH_STATE, {"profiles_version": USER_PROFILES}),
)
# Folders in paths.work that hold rows of users with pseudonyms or hashes of them.
WORK_FOLDERS = ("train_*", "tune_*", "evaluate_recommendations")

log = logging.getLogger(__name__)


def run(store: Store, settings: Settings, vacuum: bool = False, *, now: datetime) -> None:
    """Renew the pseudonyms of all tables under the last version of the key.

    The job has all versions of the key, and the tables the version before the last. Each table is
    renewed in one commit, so that a run that breaks off at any moment is continued by the next one.
    Other jobs have to stop before: they refuse to start until this one is done. With `vacuum` the
    files of earlier table versions, which hold the earlier pseudonyms, are removed at once. Raises
    InputError if the tables have another version, or if the key of an earlier one differs.
    """
    pseudonyms = read_key(settings.ingest)
    versions = read_versions(store)
    if not versions:
        raise InputError(f"{store.root}: nothing was ingested yet, so there is nothing to rotate")
    _check_versions(pseudonyms, versions)
    last = versions[-1]
    is_new = last["version"] < pseudonyms.version
    if is_new:
        _begin(store, settings, pseudonyms, now)
    if is_new or not last["is_complete"]:
        _renew_tables(store, pseudonyms, settings.refresh.user_buckets)
        _advance_refresh_states(store)
        _remove_copies(settings)
        write_version(store, pseudonyms.fingerprints, is_complete=True)
    log.info(f"rotate_pseudonyms: all tables have version {pseudonyms.version} of the key")
    _report_copies(settings)
    _remove_earlier_versions(store, settings, vacuum)


def _check_versions(pseudonyms: Pseudonyms, versions: Sequence[Row]) -> None:
    version, is_complete = versions[-1]["version"], versions[-1]["is_complete"]
    wanted = {version, version + 1} if is_complete else {version}
    if pseudonyms.version not in wanted:
        raise InputError(
            f"ingest.pseudonym_key_env: found {pseudonyms.version} versions of the pseudonym key, "
            f"wanted {max(wanted)}, because {'all' if is_complete else 'some'} tables have version "
            f"{version}; give all versions, oldest first, separated by commas"
        )
    check_same_keys(versions, pseudonyms.fingerprints)


def _begin(store: Store, settings: Settings, pseudonyms: Pseudonyms, now: datetime) -> None:
    """Process the changes whose rows in change feeds have the earlier pseudonyms, then begin.

    The history of profiles is completed. States of refreshes that are not up to date are cleared,
    so that the next refresh computes all users. Histories hold parts of the earlier pseudonyms of
    events, so they are cleared as well: the next job that reads them builds them again.
    """
    if store.exists(USER_PROFILES):
        record_history(store, timedelta(days=settings.history.retention_days), now)
    for state, sources in STATE_SOURCES:
        rows = store.read_or_empty(state).collect()  # one row per bucket
        if rows and not _is_up_to_date(store, rows, sources, settings.refresh.user_buckets):
            log.warning(f"{state.name}: not up to date, so the next refresh computes all users")
            replace_state_rows(store, state, [])
    for table in (USER_HISTORIES_STATE, USER_HISTORIES):
        if store.exists(table):
            store.replace(table, store.read(table).limit(0))
    write_version(store, pseudonyms.fingerprints, is_complete=False)


def _is_up_to_date(
    store: Store, rows: Sequence[Row], sources: Mapping[str, Table], n_buckets: int
) -> bool:
    """Return whether all buckets have one state that is up to date.

    No row of its source tables has changed since. All buckets need the same state, because the new
    pseudonyms of users are in other buckets.
    """
    states = {tuple(row[name] for name in row.asDict() if name != USER_BUCKET) for row in rows}
    if len(rows) != n_buckets or len(states) > 1:
        return False
    feeds = [
        store.changes(table, rows[0][name])
        for name, table in sources.items()
        if store.exists(table)
    ]
    return all(feed is not None and feed.isEmpty() for feed in feeds)


def _renew_tables(store: Store, pseudonyms: Pseudonyms, n_buckets: int) -> None:
    tables = [table for table in TABLES if has_pseudonyms(table) and store.exists(table)]
    progress = Progress(log, "tables", len(tables))
    for table in tables:
        store.evolve_schema(table)
        version = store.version(table)
        rows = renew_rows(store.read(table, version), table, pseudonyms, n_buckets)
        store.rewrite(table, rows, version, REWRITER, pseudonyms.version)
        progress.advance()


def _advance_refresh_states(store: Store) -> None:
    """Bring the states of refreshes to the versions of the renewed tables."""
    for state, sources in STATE_SOURCES:
        rows = store.read_or_empty(state)
        if not rows.isEmpty():
            versions = {
                name: F.lit(store.version(table)).cast("long")
                for name, table in sources.items()
                if store.exists(table)
            }
            store.replace(state, rows.withColumns(versions))


def find_work_folders(settings: Settings) -> list[Path]:
    """Return the folders with rows of trainings."""
    work = Path(settings.paths.work)
    return sorted(folder for pattern in WORK_FOLDERS for folder in work.glob(pattern))


def _remove_copies(settings: Settings) -> None:
    """Remove the rows of trainings, which are made again when needed."""
    for folder in find_work_folders(settings):
        shutil.rmtree(folder)
        log.info(f"{folder}: removed; the training starts from the beginning")


def _report_copies(settings: Settings) -> None:
    """Report the files outside the tables that hold earlier pseudonyms."""
    segments = settings.segments
    if segments.export_folder is not None:
        log.warning(
            f"segments.export_folder: the files in {segments.export_folder} may hold earlier "
            "pseudonyms; run python jobs/segment_users.py --config FILE"
        )
    for name, lookalike in segments.lookalikes.items():
        log.warning(
            f"segments.lookalikes.{name}: {lookalike.seeds} may hold earlier pseudonyms; replace "
            "its user_id by those of the table identity"
        )


def _remove_earlier_versions(store: Store, settings: Settings, vacuum: bool) -> None:
    tables = [table for table in TABLES if has_pseudonyms(table) and store.exists(table)]
    if vacuum:
        n_files = sum(store.vacuum(table, retention_hours=0) for table in tables)
        log.info(f"rotate_pseudonyms: {n_files:,} files of earlier table versions removed")
    else:
        log.warning(
            "earlier versions of the tables hold the earlier pseudonyms until maintain_tables "
            f"removes files older than maintain.retention_hours "
            f"({settings.maintain.retention_hours:g}); run this again with --vacuum to remove them "
            "now"
        )
