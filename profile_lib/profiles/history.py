"""The change feed of user_profiles in, what each profile was and since when out.

A row of the history tells what a commit made of a user's profile; it holds until the user's next.
"""

from datetime import datetime

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.delta.merge import deletion_rows
from profile_lib.tables import USER_PROFILES, USER_PROFILES_HISTORY

UPSERT, DELETE = "upsert", "delete"  # what a commit did to a profile


def build_history_from_changes(changes: DataFrame) -> DataFrame:
    """One row a user and commit of the change feed: the profile as it became, or that it went.

    What a commit takes out and puts in again is put in.
    """
    keys = ["user_id", "_commit_version"]
    kind = F.col("_change_type")
    came = changes.where(kind.isin("insert", "update_postimage"))
    went = changes.where(kind == "delete").join(came.select(*keys), keys, "left_anti")
    gone = went.select(*keys, "_commit_timestamp")
    return _history_rows(came, UPSERT).union(_history_rows(gone, DELETE))


def build_history_from_snapshot(
    profiles: DataFrame, history: DataFrame, version: int, committed_ts: datetime
) -> DataFrame:
    """All `profiles` of a version as rows of the history, and who went since its newest rows.

    For a history that begins, or whose last version the change feed does not reach any more.
    """
    present = _newest_first(history).where(f"recency_rank = 1 AND change_type = '{UPSERT}'")
    went = present.select("user_id").join(profiles.select("user_id"), "user_id", "left_anti")
    came, gone = (_add_commit(frame, version, committed_ts) for frame in (profiles, went))
    return _history_rows(came, UPSERT).union(_history_rows(gone, DELETE))


def select_expired_rows(history: DataFrame, horizon: datetime) -> DataFrame:
    """Rows that tell of no moment from `horizon` on, as the source of an upsert that deletes them.

    Each user's newest row until `horizon` stays: it holds beyond it.
    """
    before = history.where(F.col("valid_from_ts") <= F.lit(horizon))
    return deletion_rows(USER_PROFILES_HISTORY, _newest_first(before).where("recency_rank > 1"))


def select_profile_as_of(history: DataFrame, user_id: str, ts: datetime) -> DataFrame:
    """The user's profile as it was at `ts`: one row, none where there was no profile."""
    moment = F.lit(ts)
    known = history.where(
        (F.col("user_id") == user_id)
        & (F.col("valid_from_date") <= F.to_date(moment))
        & (F.col("valid_from_ts") <= moment)
    )
    newest = known.orderBy(F.desc("valid_from_ts"), F.desc("change_version")).limit(1)
    return newest.where(f"change_type = '{UPSERT}'").select(*USER_PROFILES.column_names())


def _newest_first(history: DataFrame) -> DataFrame:
    newest = Window.partitionBy("user_id").orderBy(
        F.desc("valid_from_ts"), F.desc("change_version")
    )
    keys = ("user_id", "change_version", "valid_from_ts", "valid_from_date", "change_type")
    return history.select(*keys, F.row_number().over(newest).alias("recency_rank"))


def _add_commit(frame: DataFrame, version: int, committed_ts: datetime) -> DataFrame:
    return frame.withColumns(
        {"_commit_version": F.lit(version), "_commit_timestamp": F.lit(committed_ts)}
    )


def _history_rows(frame: DataFrame, change_type: str) -> DataFrame:
    """Rows of the feed under the history's columns, null where the frame has none."""
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
