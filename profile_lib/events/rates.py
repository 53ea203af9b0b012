"""Find users with more events per minute or day than a person can make."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.events.cleaning import REJECTED
from profile_lib.events.validation import OUTSIDE_ROW, is_kept, parse_event_row
from profile_lib.tables import EVENTS

# Rules that are stored in rejected_events, from which history and restored events are selected.
RATE_RULES = {"minute": "bot:events_per_minute", "day": "bot:events_per_day"}
RATE_COLUMNS = ("user_id", "event_id", "event_ts", "event_date", "order_id")


def select_rejected_by_rate(rejected: DataFrame) -> DataFrame:
    """Select the rejected events that broke only a rule about rates.

    Returns the columns of `events` and row_id.
    """
    is_rate_rule = F.exists("reasons", lambda rule: rule.isin(*RATE_RULES.values()))
    row = parse_event_row(F.col("row")).alias("event")
    selected = rejected.where(is_rate_rule).select("row_id", *OUTSIDE_ROW, row)
    return selected.select("row_id", *OUTSIDE_ROW, "event.*").select(
        "row_id", *EVENTS.column_names()
    )


def find_busy_days(user_days: DataFrame, max_per_minute: int, max_per_day: int) -> DataFrame:
    """Select the days, as user_id and event_date, that have more events than the lower limit.

    `user_days` may hold several counts `n` of a day. Only these days have to be counted exactly.
    """
    totals = user_days.groupBy("user_id", "event_date").agg(F.sum("n").alias("n"))
    return totals.where(F.col("n") > min(max_per_minute, max_per_day)).drop("n")


def find_impossible_rates(
    suspects: DataFrame, max_per_minute: int, max_per_day: int, time_zone: str
) -> DataFrame:
    """Find the minutes and days in which a user made more events than a limit.

    Columns: user_id, window ("minute" or "day"), window_start. `suspects` has the columns
    RATE_COLUMNS and may hold an event more than once. All lines of one order count as one act.
    Events at a full hour exactly, in the source's zone, have no time of day, or an hour alone: they
    count for the day only.
    """
    local = F.from_utc_timestamp("event_ts", time_zone)
    with_time = suspects.where(local != F.date_trunc("hour", local))
    return _find_windows_above_limit(with_time, "minute", max_per_minute).unionByName(
        _find_windows_above_limit(suspects, "day", max_per_day)
    )


def _find_windows_above_limit(suspects: DataFrame, window: str, max_acts: int) -> DataFrame:
    act = F.coalesce(F.concat(F.lit("order "), "order_id"), "event_id")
    window_start = F.date_trunc(window, "event_ts").alias("window_start")
    counts = suspects.groupBy("user_id", window_start).agg(F.count_distinct(act).alias("n"))
    return counts.where(F.col("n") > max_acts).select(
        "user_id", F.lit(window).alias("window"), "window_start"
    )


def mark_fast_events(rows: DataFrame, rates: DataFrame) -> DataFrame:
    """Add the column `rate_rule`: the rule that an event in a window breaks, else null."""
    marked = rows.withColumn("rate_rule", F.lit(None).cast("string"))
    for window, rule in RATE_RULES.items():
        windows = rates.where(F.col("window") == window).select(
            "user_id", "window_start", F.lit(rule).alias("found_rule")
        )
        marked = (
            marked.withColumn("window_start", F.date_trunc(window, "event_ts"))
            .join(windows, ["user_id", "window_start"], "left")
            .withColumn("rate_rule", F.coalesce("rate_rule", "found_rule"))
            .drop("window_start", "found_rule")
        )
    return marked


def reject_fast_events(judged: DataFrame, rates: DataFrame) -> DataFrame:
    """Reject the kept rows in windows above a limit."""
    marked = mark_fast_events(judged, rates)
    is_fast = is_kept() & F.col("rate_rule").isNotNull()
    columns: dict[str, Column] = {
        "reasons": F.when(is_fast, F.array("rate_rule")).otherwise(F.col("reasons")),
        "status": F.when(is_fast, REJECTED).otherwise(F.col("status")),
    }
    return marked.withColumns(columns).drop("rate_rule")
