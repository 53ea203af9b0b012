"""user_profiles → user_profiles_history: what each profile was, and since when."""

from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.merge import IS_DELETED
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.profiles.history import (
    build_history_from_changes,
    build_history_from_snapshot,
    select_expired_rows,
)
from profile_lib.tables import USER_PROFILES, USER_PROFILES_HISTORY


def run(store: Store, settings: Settings) -> None:
    """Record what became of the profiles since the last time. Raises InputError where a day is."""
    record_history(store, timedelta(days=settings.history.retention_days), datetime.now(UTC))


def record_history(store: Store, retention: timedelta, now: datetime) -> None:
    """Write what the commits of user_profiles since the last recorded one changed, each once.

    Rows that tell nothing of the time `retention` before `now` are taken out. Raises InputError where
    the history is of another table of profiles.
    """
    version, history = store.version(USER_PROFILES), store.read_or_empty(USER_PROFILES_HISTORY)
    ends = F.max("change_version"), F.min("valid_from_ts") <= F.lit(now - retention)
    recorded, is_old = history.agg(*ends).collect()[0]
    if recorded is not None and recorded > version:
        raise InputError(
            f"user_profiles_history: it tells of version {recorded}, user_profiles is at {version}:"
            f" it was made anew; move {store.path(USER_PROFILES_HISTORY)} away"
        )
    rows = _rows(store, history, -1 if recorded is None else recorded, version)
    if is_old:
        gone = select_expired_rows(history, now - retention)
        rows = rows.withColumn(IS_DELETED, F.lit(False)).unionByName(gone)
    store.upsert(USER_PROFILES_HISTORY, rows, update=False)


def _rows(store: Store, history: DataFrame, recorded: int, version: int) -> DataFrame:
    changes = store.changes(USER_PROFILES, recorded, version)
    if changes is not None:
        return build_history_from_changes(changes)
    profiles = store.read(USER_PROFILES, version)
    return build_history_from_snapshot(
        profiles, history, version, store.commit_time(USER_PROFILES, version)
    )
