"""Find the sessions that new events can change.

A new event can change only those sessions of its user that contain it or lie within the gap of it.
These sessions are built again from all their events; all others stay as they are.
"""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import SESSIONS


def find_affected_spans(arrived: DataFrame, gap: timedelta) -> DataFrame:
    """Find the span of time in which each user's new events can change sessions.

    Columns: user_id, from_ts, to_ts, both included.
    """
    return arrived.groupBy("user_id").agg(
        (F.min("event_ts") - F.lit(gap)).alias("from_ts"),
        (F.max("event_ts") + F.lit(gap)).alias("to_ts"),
    )


def find_affected_sessions(sessions: DataFrame, spans: DataFrame) -> DataFrame:
    """Select the keys and bounds of sessions that overlap their user's span."""
    overlapping = sessions.join(spans, "user_id").where("end_ts >= from_ts AND start_ts <= to_ts")
    return overlapping.select("session_id", "session_date", "user_id", "start_ts", "end_ts")


def widen_spans(spans: DataFrame, affected: DataFrame) -> DataFrame:
    """Widen each span to the bounds of its affected sessions."""
    bounds = affected.groupBy("user_id").agg(
        F.min("start_ts").alias("first_ts"), F.max("end_ts").alias("last_ts")
    )
    return spans.join(bounds, "user_id", "left").select(
        "user_id",
        F.least("from_ts", "first_ts").alias("from_ts"),
        F.greatest("to_ts", "last_ts").alias("to_ts"),
    )


def select_events_in_spans(events: DataFrame, spans: DataFrame) -> DataFrame:
    """Select the events that lie in their user's span."""
    inside = events.join(spans, "user_id").where("event_ts BETWEEN from_ts AND to_ts")
    return inside.drop("from_ts", "to_ts")


def diff_sessions(rebuilt: DataFrame, affected: DataFrame) -> DataFrame:
    """Return the source of an upsert that replaces the affected sessions by the rebuilt ones.

    `is_deleted` is true for affected sessions that were not rebuilt.
    """
    before = affected.select("session_id", "session_date", F.lit(True).alias("existed"))
    joined = rebuilt.join(before, ["session_id", "session_date"], "full_outer")
    return joined.select(*SESSIONS.column_names(), F.col("user_id").isNull().alias("is_deleted"))
