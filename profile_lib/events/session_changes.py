"""Find the sessions that new events can change.

A new event can change only those sessions of its user that contain it or lie within the gap of it.
These sessions are built again from all their events; all others stay as they are. New events of a
user that lie far apart have spans of their own, so that an event of another year does not reach the
sessions between.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.session_rule import session_start_column
from profile_lib.tables import SESSIONS

SPAN_KEY = ["user_id", "from_ts"]


def find_affected_spans(arrived: DataFrame, gap: timedelta) -> DataFrame:
    """Find the spans of time in which each user's new events can change sessions.

    Columns: user_id, from_ts, to_ts, both included. Spans of a user do not overlap.
    """
    by_time = Window.partitionBy("user_id").orderBy("event_ts")
    starts = session_start_column(by_time, 2 * gap).cast("int")
    spans = arrived.select("user_id", "event_ts", starts.alias("starts")).withColumn(
        "number", F.sum("starts").over(by_time)
    )
    return (
        spans.groupBy("user_id", "number")
        .agg(
            (F.min("event_ts") - F.lit(gap)).alias("from_ts"),
            (F.max("event_ts") + F.lit(gap)).alias("to_ts"),
        )
        .drop("number")
    )


def find_affected_sessions(sessions: DataFrame, spans: DataFrame) -> DataFrame:
    """Select the keys and bounds of sessions in spans, with the span's from_ts.

    A session is in each span of its user that it overlaps, and has a row per span.
    """
    overlapping = sessions.join(spans, "user_id").where("end_ts >= from_ts AND start_ts <= to_ts")
    return overlapping.select("session_id", "session_date", *SPAN_KEY, "start_ts", "end_ts")


def widen_spans(spans: DataFrame, affected: DataFrame) -> DataFrame:
    """Widen each span to the bounds of its affected sessions; spans may then overlap."""
    bounds = affected.groupBy(*SPAN_KEY).agg(
        F.min("start_ts").alias("first_ts"), F.max("end_ts").alias("last_ts")
    )
    return spans.join(bounds, SPAN_KEY, "left").select(
        "user_id",
        F.least("from_ts", "first_ts").alias("from_ts"),
        F.greatest("to_ts", "last_ts").alias("to_ts"),
    )


def select_events_in_spans(events: DataFrame, spans: DataFrame) -> DataFrame:
    """Select the events that lie in a span of their user, each once."""
    is_inside = F.expr(
        "event.user_id = span.user_id AND event.event_ts BETWEEN span.from_ts AND span.to_ts"
    )
    return events.alias("event").join(spans.alias("span"), is_inside, "left_semi")


def diff_sessions(rebuilt: DataFrame, affected: DataFrame) -> DataFrame:
    """Return the source of an upsert that replaces the affected sessions by the rebuilt ones.

    `is_deleted` is true for affected sessions that were not rebuilt.
    """
    keys = affected.select("session_id", "session_date").distinct()
    joined = rebuilt.join(keys, ["session_id", "session_date"], "full_outer")
    return joined.select(*SESSIONS.column_names(), F.col("user_id").isNull().alias("is_deleted"))


def days_of_spans(spans: DataFrame) -> DataFrame:
    """Return the distinct UTC days that the spans touch, as the column `day`."""
    days = F.sequence(F.to_date("from_ts"), F.to_date("to_ts"))
    return spans.select(F.explode(days).alias("day")).distinct()


def runs_of_days(days: Sequence[date]) -> list[tuple[date, date]]:
    """Return the first and the last day of each run of consecutive days, in order.

    >>> days = [date(2026, 1, 3), date(2003, 5, 1), date(2026, 1, 2)]
    >>> [tuple(map(str, run)) for run in runs_of_days(days)]
    [('2003-05-01', '2003-05-01'), ('2026-01-02', '2026-01-03')]
    """
    runs: list[tuple[date, date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][1] <= timedelta(days=1):
            runs[-1] = runs[-1][0], day
        else:
            runs.append((day, day))
    return runs
