"""Find users with more events per minute or day than a person can make."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# These reasons are stored in rejected_events, and select_rate_history finds them by their prefix.
RATE_REASON_PREFIX = "more events in a "
RATE_REASONS = {
    "minute": "more events in a minute than a person makes",
    "day": "more events in a day",
}
RATE_COLUMNS = ("user_id", "event_id", "event_ts", "event_date", "order_id")


def select_rate_history(stored: DataFrame, rejected: DataFrame) -> DataFrame:
    """Select RATE_COLUMNS of all earlier events that count towards a user's rate.

    They are the stored events and those that were rejected because of the rate.
    """
    is_rate_reason = F.exists("reasons", lambda reason: reason.startswith(RATE_REASON_PREFIX))
    order_id = F.get_json_object("row", "$.order_id").alias("order_id")
    columns = ("user_id", "event_id", "event_ts", F.to_date("event_ts").alias("event_date"))
    rejected_by_rate = rejected.where(is_rate_reason).select(*columns, order_id)
    return stored.select(*RATE_COLUMNS).unionByName(rejected_by_rate)


def find_impossible_rates(events: DataFrame, max_per_minute: int, max_per_day: int) -> DataFrame:
    """Find the minutes and days in which a user made more events than a limit.

    Columns: user_id, window ("minute" or "day"), window_start, rate_reason. `events` has the
    columns RATE_COLUMNS and may hold an event more than once. All lines of one order count as one
    act. A cheap count per user and day first leaves out all days with no more events than the lower
    limit, so that few rows are counted exactly.
    """
    keyed = events.withColumn("user_key", F.xxhash64("user_id"))  # a collision only adds a check
    daily = keyed.groupBy("user_key", "event_date").count()
    busy_days = daily.where(F.col("count") > min(max_per_minute, max_per_day)).drop("count")
    suspects = keyed.join(F.broadcast(busy_days), ["user_key", "event_date"])
    return _find_windows_above_limit(suspects, "minute", max_per_minute).unionByName(
        _find_windows_above_limit(suspects, "day", max_per_day)
    )


def _find_windows_above_limit(suspects: DataFrame, window: str, max_acts: int) -> DataFrame:
    act = F.coalesce(F.concat(F.lit("order "), "order_id"), "event_id")
    window_start = F.date_trunc(window, "event_ts").alias("window_start")
    counts = suspects.groupBy("user_id", window_start).agg(F.count_distinct(act).alias("n"))
    reason = F.concat(F.lit(f"{RATE_REASONS[window]}: "), F.col("n").cast("string"))
    return counts.where(F.col("n") > max_acts).select(
        "user_id", F.lit(window).alias("window"), "window_start", reason.alias("rate_reason")
    )


def add_rate_reasons(rows: DataFrame, rates: DataFrame) -> DataFrame:
    """Add the reasons of `find_impossible_rates` to the rows that lie in its windows."""
    for window in RATE_REASONS:
        windows = rates.where(F.col("window") == window).drop("window")
        reasons = F.when(F.col("rate_reason").isNull(), F.col("reasons")).otherwise(
            F.concat("reasons", F.array("rate_reason"))
        )
        rows = (
            rows.withColumn("window_start", F.date_trunc(window, "event_ts"))
            .join(F.broadcast(windows), ["user_id", "window_start"], "left")
            .withColumn("reasons", reasons)
            .drop("window_start", "rate_reason")
        )
    return rows


def select_retracted_events(stored: DataFrame, rates: DataFrame) -> DataFrame:
    """Select the stored events whose rate, with newer events, is above a limit.

    They have to be retracted.
    """
    without_reasons = stored.withColumn("reasons", F.array().cast("array<string>"))
    return add_rate_reasons(without_reasons, rates).where(F.size("reasons") > 0)
