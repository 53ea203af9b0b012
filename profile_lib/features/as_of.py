"""Select what was known of users as of cutoffs; no other module may do this."""

from datetime import datetime
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.histories import HistoryLimits, build_histories, select_past_events
from profile_lib.spark.timestamps import just_after, known_time

PAIR = ("user_id", "cutoff_ts")


class HistoriesAsOf(NamedTuple):
    """Histories as of cutoffs, and the pairs (user_id, cutoff_ts) that need events to get one."""

    histories: DataFrame
    missing: DataFrame


def add_latest_cutoff(histories: DataFrame) -> DataFrame:
    """Add to each history its latest cutoff: just after the last event became known.

    All events of the user are known as of this cutoff. A value computed as of it stays valid until
    another event arrives, however much time passes. The cutoffs of examples have the same distance
    from the events before them.
    """
    last = F.greatest(_last_known_time(), F.col("older_known_ts"))
    return histories.withColumn("cutoff_ts", just_after(last))


def select_histories_as_of(histories: DataFrame, cutoffs: DataFrame) -> HistoriesAsOf:
    """Derive the histories as of each (user_id, cutoff_ts) from the current ones.

    An event is known as of a cutoff if both its time and its arrival are strictly earlier. A user
    whose events are all in the history has one as of any cutoff. So has a user with older events if
    all events were known; else those before the cutoff have to be read again. A pair without known
    events has no history.
    """
    pairs = histories.join(cutoffs.select(*PAIR), "user_id")
    is_whole = F.col("older_known_ts").isNull()
    is_known = F.greatest(_last_known_time(), F.col("older_known_ts")) < F.col("cutoff_ts")
    known = F.filter("events", lambda event: known_time(event) < F.col("cutoff_ts"))
    as_of = pairs.where(is_whole | is_known).withColumn("events", known)
    first_ts = F.element_at("events", 1)["event_ts"]
    histories_as_of = as_of.where(F.size("events") > 0).withColumn(
        "first_ts", F.when(F.col("older_known_ts").isNull(), first_ts).otherwise(F.col("first_ts"))
    )
    return HistoriesAsOf(histories_as_of, pairs.where(~(is_whole | is_known)).select(*PAIR))


def build_histories_as_of(
    events: DataFrame, cutoffs: DataFrame, limits: HistoryLimits
) -> DataFrame:
    """Build the history of each (user_id, cutoff_ts) from the events known as of it."""
    past = select_past_events(events, "user_id").withColumn("known_ts", known_time())
    known = past.join(cutoffs.select(*PAIR), "user_id").where("known_ts < cutoff_ts")
    return build_histories(known.drop("known_ts"), limits, keys=PAIR)


def select_known_events(events: DataFrame, as_of: datetime) -> DataFrame:
    """Select the events of all users that were known as of one moment."""
    return events.where(known_time() < F.lit(as_of))


def _last_known_time() -> Column:
    return F.array_max(F.transform("events", lambda event: known_time(event)))
