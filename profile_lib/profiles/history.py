"""Build and read the table `user_profiles_history`.

A row holds a profile as of the commit that changed it, and is valid until the user's next row.
"""

from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.delta.merge import deletion_rows
from profile_lib.tables import USER_PROFILES, USER_PROFILES_HISTORY

UPSERT, DELETE = "upsert", "delete"  # values of change_type: what the commit did to the profile


def build_history_from_changes(changes: DataFrame) -> DataFrame:
    """Build one row of history per user and commit of the change feed.

    It holds the new profile, or marks the profile as deleted. A profile that one commit both
    deletes and inserts counts as inserted.
    """
    keys = ["user_id", "_commit_version"]
    kind = F.col("_change_type")
    upserted = changes.where(kind.isin("insert", "update_postimage"))
    deleted = changes.where(kind == "delete").join(upserted.select(*keys), keys, "left_anti")
    deleted = deleted.select(*keys, "_commit_timestamp")
    return _history_rows(upserted, UPSERT).union(_history_rows(deleted, DELETE))


def build_history_from_version(
    profiles: DataFrame, history: DataFrame, version: int, committed_ts: datetime
) -> DataFrame:
    """Build rows of a version's profiles that the history lacks, and of deleted profiles.

    It starts a history, or continues one whose last version the change feed no longer reaches.
    `committed_ts` is the time of the version's commit.
    """
    # As JSON, because Spark does not compare maps.
    profile = F.to_json(F.struct(*USER_PROFILES.column_names())).alias("profile")
    newest = _newest_first(history, profile)
    present = newest.where(f"recency_rank = 1 AND change_type = '{UPSERT}'")
    present = present.select("user_id", "profile")
    changed = profiles.withColumn("profile", profile).join(
        present, ["user_id", "profile"], "left_anti"
    )
    missing = present.select("user_id").join(profiles.select("user_id"), "user_id", "left_anti")
    upserted, deleted = (_add_commit(frame, version, committed_ts) for frame in (changed, missing))
    return _history_rows(upserted, UPSERT).union(_history_rows(deleted, DELETE))


def select_expired_rows(history: DataFrame, retained_since: datetime) -> DataFrame:
    """Select rows that ceased to be valid before `retained_since`.

    They are returned as deletions for an upsert. Each user's newest row as of `retained_since` is
    still valid then, so it is not selected.
    """
    earlier = history.where(F.col("valid_from_ts") <= F.lit(retained_since))
    return deletion_rows(USER_PROFILES_HISTORY, _newest_first(earlier).where("recency_rank > 1"))


def select_profile_as_of(history: DataFrame, user_id: str, ts: datetime) -> DataFrame:
    """Select the user's profile as it was at `ts`; no row if there was none."""
    time = F.lit(ts)
    until_ts = history.where(
        (F.col("user_id") == user_id)
        & (F.col("valid_from_date") <= F.to_date(time))
        & (F.col("valid_from_ts") <= time)
    )
    newest = until_ts.orderBy(F.desc("valid_from_ts"), F.desc("change_version")).limit(1)
    return newest.where(f"change_type = '{UPSERT}'").select(*USER_PROFILES.column_names())


def _newest_first(history: DataFrame, *more: Column) -> DataFrame:
    newest = Window.partitionBy("user_id").orderBy(
        F.desc("valid_from_ts"), F.desc("change_version")
    )
    keys = ("user_id", "change_version", "valid_from_ts", "valid_from_date", "change_type")
    return history.select(*keys, *more, F.row_number().over(newest).alias("recency_rank"))


def _add_commit(frame: DataFrame, version: int, committed_ts: datetime) -> DataFrame:
    return frame.withColumns(
        {"_commit_version": F.lit(version), "_commit_timestamp": F.lit(committed_ts)}
    )


def _history_rows(frame: DataFrame, change_type: str) -> DataFrame:
    """Select the columns of the history; those that the frame lacks are null."""
    columns = {
        "change_version": F.col("_commit_version").cast("long"),
        "valid_from_ts": F.col("_commit_timestamp"),
        "valid_from_date": F.to_date("_commit_timestamp"),
        "change_type": F.lit(change_type),
    }
    nulls = {
        c.name: F.lit(None).cast(c.type)
        for c in USER_PROFILES.columns
        if c.name not in frame.columns
    }
    return frame.withColumns(columns | nulls).select(*USER_PROFILES_HISTORY.column_names())
