"""Record each change of a profile in the profile history."""

from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.settings import Settings
from profile_lib.delta.merge import IS_DELETED
from profile_lib.delta.store import Store
from profile_lib.errors import InputError
from profile_lib.profiles.history import (
    build_history_from_changes,
    build_history_from_version,
    select_expired_rows,
)
from profile_lib.tables import ERASURES, USER_PROFILES, USER_PROFILES_HISTORY


def run(store: Store, settings: Settings, *, now: datetime) -> None:
    """Record the changes of profiles since the last run.

    Rows older than `history.retention_days` before `now` expire. Raises InputError as
    `record_history` does.
    """
    record_history(store, timedelta(days=settings.history.retention_days), now)


def record_history(store: Store, retention: timedelta, now: datetime) -> None:
    """Record each change of user_profiles since the last recorded commit.

    Rows that were no longer valid at `now - retention` are deleted. Raises InputError if
    user_profiles was recreated since.
    """
    version, history = store.version(USER_PROFILES), store.read_or_empty(USER_PROFILES_HISTORY)
    recorded, has_expired = history.agg(
        F.max("change_version"), F.min("valid_from_ts") <= F.lit(now - retention)
    ).collect()[0]
    if recorded is not None and recorded > version:
        raise InputError(
            f"user_profiles_history: holds version {recorded}, but user_profiles is at {version}: "
            f"it was recreated; move {store.path(USER_PROFILES_HISTORY)} away"
        )
    rows = _build_rows(store, history, -1 if recorded is None else recorded, version)
    if has_expired:
        expired = select_expired_rows(history, now - retention)
        rows = rows.withColumn(IS_DELETED, F.lit(False)).unionByName(expired)
    store.upsert(USER_PROFILES_HISTORY, rows, update=False)


def _build_rows(store: Store, history: DataFrame, recorded: int, version: int) -> DataFrame:
    changes = store.changes(USER_PROFILES, recorded, version)
    if changes is not None:
        # The change feed still holds the profiles that an erasure deleted, and their deletion.
        if store.exists(ERASURES):
            erased = store.read(ERASURES).select("user_id")
            changes = changes.join(erased, "user_id", "left_anti")
        return build_history_from_changes(changes)
    committed_ts = store.commit_time(USER_PROFILES, version)
    profiles = store.read(USER_PROFILES, version)
    return build_history_from_version(profiles, history, version, committed_ts)
