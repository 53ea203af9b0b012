"""All tables → the same in fewer files, old files removed; and the history of profiles."""

from datetime import UTC, datetime, timedelta

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


def run(store: Store, settings: Settings, force: bool = False) -> list[MaintenanceResult]:
    """Record the history of profiles and maintain every table that there is, one line each.

    May run beside other jobs: what loses against another's commit is tried again, here and there.
    Raises InputError where a day is given, and where less is kept than streams need.
    """
    given = settings.maintain
    if given.retention_hours < given.min_retention_hours and not force:
        raise InputError(
            f"maintain.retention_hours: found {given.retention_hours:g}, wanted maintain.min_retention_hours "
            f"({given.min_retention_hours:g}) or more, which streams and change feeds need; --force removes"
            " their files all the same"
        )
    if store.exists(USER_PROFILES):
        record_history(store, timedelta(days=settings.history.retention_days), datetime.now(UTC))
    done = [maintain(store, table, given) for table in TABLES if store.exists(table)]
    print(format_report(done))
    return done


def maintain(store: Store, table: Table, given: MaintainSettings) -> MaintenanceResult:
    """Write fragmented partitions anew, some at a time, and remove what earlier versions left."""
    file_bytes = given.file_mib * MIB
    before = partition_layouts(table, store.files(table))
    fragmented = [part for part in before if part.is_fragmented(file_bytes)]
    for group in group_layouts(fragmented, given.commit_mib * MIB):
        store.compact(table, file_bytes, partition_condition(table, group))
    n_removed = store.vacuum(table, given.retention_hours)
    after = partition_layouts(table, store.files(table))
    return summarise_maintenance(table, combine_layouts(before), combine_layouts(after), n_removed)
