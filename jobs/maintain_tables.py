"""All tables → the same in fewer files, old files removed; and the history of profiles."""

from datetime import UTC, date, datetime, timedelta

from jobs.command import main
from jobs.record_history import record_history
from profile_lib.config import Settings
from profile_lib.errors import InputError
from profile_lib.maintenance import (
    MIB,
    Maintained,
    condition,
    groups,
    layouts,
    maintained,
    report,
    whole,
)
from profile_lib.sections.running import MaintainSettings
from profile_lib.store import Store
from profile_lib.tables import TABLES, USER_PROFILES, Table

FORCE = "remove files younger than maintain.least_hours: streams and change feeds may need them"


def run(
    store: Store, settings: Settings, day: date | None, force: bool = False
) -> list[Maintained]:
    """Record the history of profiles and maintain every table that there is, one line each.

    May run beside other jobs: what loses against another's commit is tried again, here and there.
    Raises InputError where a day is given, and where less is kept than streams need.
    """
    given = settings.maintain
    if day is not None:
        raise InputError("--date: maintain_tables takes all tables as they are")
    if given.keep_hours < given.least_hours and not force:
        raise InputError(
            f"maintain.keep_hours: found {given.keep_hours:g}, wanted maintain.least_hours "
            f"({given.least_hours:g}) or more, which streams and change feeds need; --force removes"
            " their files all the same"
        )
    if store.exists(USER_PROFILES):
        record_history(store, timedelta(days=settings.history.keep_days), datetime.now(UTC))
    done = [maintain(store, table, given) for table in TABLES if store.exists(table)]
    print(report(done))
    return done


def maintain(store: Store, table: Table, given: MaintainSettings) -> Maintained:
    """Write fragmented partitions anew, some at a time, and remove what earlier versions left."""
    file_bytes = given.file_mib * MIB
    before = layouts(table, store.files(table))
    fragmented = [part for part in before if part.is_fragmented(file_bytes)]
    for group in groups(fragmented, given.commit_mib * MIB):
        store.compact(table, file_bytes, condition(table, group))
    n_removed = store.vacuum(table, given.keep_hours)
    after = layouts(table, store.files(table))
    return maintained(table, whole(before), whole(after), n_removed)


if __name__ == "__main__":
    main("maintain_tables", run, __doc__, {"force": FORCE})
