"""Choose the cutoffs of examples, inside sessions and from a calendar."""

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.session_rule import session_start_column

# A cutoff comes this much after an event, because only earlier events are known as of a cutoff.
ONE_MICROSECOND = "INTERVAL 1 MICROSECOND"


def choose_cutoffs(
    events: DataFrame,
    *,
    gap: timedelta,
    cutoffs_per_session: int,
    train_cutoffs_per_session: int,
    train_until: datetime,
    min_events: int,
    calendar_days: int | None,
    first_cutoff: datetime | None,
    last_cutoff: datetime | None,
    seed: int,
) -> DataFrame:
    """Choose cutoffs inside sessions and from a calendar: distinct (user_id, cutoff_ts).

    Hash sampling with `seed` chooses `cutoffs_per_session` events of each session with at least
    `min_events` events, and a cutoff falls just after each of them. Before `train_until` it chooses
    `train_cutoffs_per_session` events, because a model can learn from many cutoffs of a session but
    is evaluated at one. The calendar adds a cutoff at midnight (UTC) every `calendar_days` days,
    from the day after the first event on, for every user with an earlier event; None adds none.
    Cutoffs before `first_cutoff` or after `last_cutoff` are dropped.
    """
    is_train = F.col("event_ts") < F.lit(train_until)
    max_cutoffs = F.when(is_train, train_cutoffs_per_session).otherwise(cutoffs_per_session)
    cutoffs = _inside_sessions(events, gap, max_cutoffs, min_events, seed)
    if calendar_days is not None:
        cutoffs = cutoffs.unionByName(_from_calendar(events, calendar_days))
    if first_cutoff is not None:
        cutoffs = cutoffs.where(F.col("cutoff_ts") >= F.lit(first_cutoff))
    if last_cutoff is not None:
        cutoffs = cutoffs.where(F.col("cutoff_ts") <= F.lit(last_cutoff))
    return cutoffs.distinct()


def _inside_sessions(
    events: DataFrame, gap: timedelta, max_cutoffs: Column, min_events: int, seed: int
) -> DataFrame:
    by_time = Window.partitionBy("user_id").orderBy("event_ts", "event_id")
    session = Window.partitionBy("user_id", "session_number")
    by_hash = session.orderBy(F.xxhash64(F.lit(seed), "event_id"), "event_id")
    starts = session_start_column(by_time, gap)
    return (
        events.select("user_id", "event_ts", "event_id")
        .withColumn("starts", starts.cast("int"))
        .withColumn("session_number", F.sum("starts").over(by_time))
        .withColumn("n_events", F.count("*").over(session))
        .where(F.col("n_events") >= min_events)
        .withColumn("hash_rank", F.row_number().over(by_hash))
        .where(F.col("hash_rank") <= max_cutoffs)
        .select("user_id", (F.col("event_ts") + F.expr(ONE_MICROSECOND)).alias("cutoff_ts"))
    )


def _from_calendar(events: DataFrame, every_days: int) -> DataFrame:
    next_day = F.to_date(F.min("event_ts")) + F.expr("INTERVAL 1 DAY")
    span = events.agg(
        next_day.cast("timestamp").alias("first_midnight"), F.max("event_ts").alias("last_ts")
    ).where("first_midnight <= last_ts")
    interval = F.expr(f"INTERVAL {every_days} DAYS")
    midnights = span.select(
        F.explode(F.sequence("first_midnight", "last_ts", interval)).alias("cutoff_ts")
    )
    users = events.groupBy("user_id").agg(F.min("event_ts").alias("first_ts"))
    cutoffs = users.join(F.broadcast(midnights), F.col("first_ts") < F.col("cutoff_ts"))
    return cutoffs.select("user_id", "cutoff_ts")
