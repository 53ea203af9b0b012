"""Events in, (user_id, cutoff_ts) out: whose profile is computed, and as of when."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def refresh_cutoffs(events: DataFrame, arrived_on: date | None) -> DataFrame:
    """The users to refresh, each as of just after the last thing known of them.

    All users with events, or those of whom something arrived on a day. A profile as of the user's
    own last event stays true while nothing new is known: it needs no refresh for time passing.
    """
    latest = F.greatest(F.max("event_ts"), F.max("ingest_ts"))
    known = events
    if arrived_on is not None:
        known = events.where(F.to_date("ingest_ts") <= F.lit(arrived_on))
    users = known.groupBy("user_id").agg(
        (latest + F.expr("INTERVAL 1 MICROSECOND")).alias("cutoff_ts"),
        F.max("ingest_ts").alias("last_arrival_ts"),
    )
    if arrived_on is not None:
        users = users.where(F.to_date("last_arrival_ts") == F.lit(arrived_on))
    return users.select("user_id", "cutoff_ts")
