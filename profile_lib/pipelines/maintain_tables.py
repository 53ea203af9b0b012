"""Compact fragmented tables, remove old files, and record the history of profiles."""

import logging
from datetime import datetime, timedelta

from profile_lib.config.settings import Settings
from profile_lib.config.tables import MaintainSettings
from profile_lib.delta.compaction import (
    MIB,
    MaintenanceResult,
    combine_layouts,
    format_report,
    group_layouts,
    partition_condition,
    partition_layouts,
    summarise_maintenance,
)
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.pipelines.record_history import record_history
from profile_lib.tables import TABLES, USER_PROFILES, Table

log = logging.getLogger(__name__)


def run(
    store: Store, settings: Settings, force: bool = False, *, now: datetime
) -> list[MaintenanceResult]:
    """Record the history of profiles, then maintain every existing table.

    Returns one result per table. The history is kept for `history.retention_days` before `now`.
    Other jobs may run at the same time: a commit that conflicts with theirs is retried. Raises
    InputError if files would be removed that streams need, unless `force` is true.
    """
    _check_retention(settings.maintain, force)
    if store.exists(USER_PROFILES):
        retention = timedelta(days=settings.history.retention_days)
        record_history(store, retention, now)
    results = [
        maintain(
            store,
            table,
            file_bytes=settings.maintain.file_mib * MIB,
            commit_bytes=settings.maintain.commit_mib * MIB,
            retention_hours=settings.maintain.retention_hours,
        )
        for table in TABLES
        if store.exists(table)
    ]
    log.info(format_report(results))
    return results


def maintain(
    store: Store, table: Table, *, file_bytes: int, commit_bytes: int, retention_hours: float
) -> MaintenanceResult:
    """Compact fragmented partitions into files of about `file_bytes`, then remove old files.

    Each commit compacts about `commit_bytes`. Files that no version of the last `retention_hours`
    uses are removed.
    """
    before = partition_layouts(table, store.files(table))
    fragmented = [layout for layout in before if layout.is_fragmented(file_bytes)]
    for group in group_layouts(fragmented, commit_bytes):
        store.compact(table, file_bytes, partition_condition(table, group))
    n_removed = store.vacuum(table, retention_hours)
    after = partition_layouts(table, store.files(table)) if fragmented else before
    return summarise_maintenance(table, combine_layouts(before), combine_layouts(after), n_removed)


def _check_retention(maintenance: MaintainSettings, force: bool) -> None:
    """Raise InputError if the retention is shorter than the minimum, unless `force` is true."""
    if maintenance.retention_hours < maintenance.min_retention_hours and not force:
        raise InputError(
            f"maintain.retention_hours: found {maintenance.retention_hours:g}, wanted "
            f"maintain.min_retention_hours ({maintenance.min_retention_hours:g}) or more, because "
            "streams and change feeds need the files; run with --force to remove them anyway"
        )
