"""Choose the cutoffs of examples, inside sessions and from a calendar."""

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.session_rule import session_start_column
from profile_lib.spark.timestamps import happened_time, just_after, known_time
from profile_lib.tables.events import EVENT_ORDER


def choose_cutoffs(
    events: DataFrame,
    *,
    gap: timedelta,
    cutoffs_per_session: int,
    train_cutoffs_per_session: int,
    train_until: datetime,
    max_cutoffs_per_user: int,
    min_events: int,
    calendar_days: int | None,
    first_cutoff: datetime | None,
    last_cutoff: datetime,
    seed: int,
) -> DataFrame:
    """Choose cutoffs inside sessions and from a calendar: distinct (user_id, cutoff_ts).

    Hash sampling with `seed` chooses `cutoffs_per_session` events of each session with at least
    `min_events` events, and a cutoff falls just after each of them became known: a profile that
    serves has the same cutoff once that event has arrived. Before `train_until` it chooses
    `train_cutoffs_per_session` events, because a model can learn from many cutoffs of a session but
    is evaluated at one. The calendar adds a cutoff at midnight (UTC) every `calendar_days` days,
    from the day after the first event became known until the last one happened, for every user of
    whom an event is known; None adds none. Cutoffs before `first_cutoff` or after `last_cutoff` are
    dropped. Hash sampling keeps `max_cutoffs_per_user` of the others.
    """
    known, happened = known_time().alias("known_ts"), happened_time().alias("happened_ts")
    events = events.select("user_id", *EVENT_ORDER, known, happened)
    is_train = F.col("known_ts") < F.lit(train_until)
    max_cutoffs = F.when(is_train, train_cutoffs_per_session).otherwise(cutoffs_per_session)
    cutoffs = _inside_sessions(events, gap, max_cutoffs, min_events, seed)
    if calendar_days is not None:
        cutoffs = cutoffs.unionByName(_from_calendar(events, calendar_days))
    if first_cutoff is not None:
        cutoffs = cutoffs.where(F.col("cutoff_ts") >= F.lit(first_cutoff))
    distinct = cutoffs.where(F.col("cutoff_ts") <= F.lit(last_cutoff)).distinct()
    by_hash = Window.partitionBy("user_id").orderBy(F.xxhash64(F.lit(seed), "cutoff_ts"))
    ranked = distinct.withColumn("rank", F.row_number().over(by_hash))
    return ranked.where(F.col("rank") <= max_cutoffs_per_user).drop("rank")


def _inside_sessions(
    events: DataFrame, gap: timedelta, max_cutoffs: Column, min_events: int, seed: int
) -> DataFrame:
    in_order = Window.partitionBy("user_id").orderBy(*EVENT_ORDER)
    session = Window.partitionBy("user_id", "session_number")
    by_hash = session.orderBy(F.xxhash64(F.lit(seed), "event_id"), "event_id")
    starts = session_start_column(in_order, gap)
    return (
        events.withColumn("starts", starts.cast("int"))
        .withColumn("session_number", F.sum("starts").over(in_order))
        .withColumn("n_events", F.count("*").over(session))
        .where(F.col("n_events") >= min_events)
        .withColumn("hash_rank", F.row_number().over(by_hash))
        .where(F.col("hash_rank") <= max_cutoffs)
        .select("user_id", just_after(F.col("known_ts")).alias("cutoff_ts"))
    )


def _from_calendar(events: DataFrame, every_days: int) -> DataFrame:
    next_day = F.to_date(F.min("known_ts")) + F.expr("INTERVAL 1 DAY")
    span = events.agg(
        next_day.cast("timestamp").alias("first_midnight"), F.max("happened_ts").alias("last_ts")
    ).where("first_midnight <= last_ts")
    interval = F.expr(f"INTERVAL {every_days} DAYS")
    midnights = span.select(
        F.explode(F.sequence("first_midnight", "last_ts", interval)).alias("cutoff_ts")
    )
    users = events.groupBy("user_id").agg(F.min("known_ts").alias("first_ts"))
    cutoffs = users.join(F.broadcast(midnights), F.col("first_ts") < F.col("cutoff_ts"))
    return cutoffs.select("user_id", "cutoff_ts")
