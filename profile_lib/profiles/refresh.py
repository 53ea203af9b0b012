"""Events in, (user_id, cutoff_ts) out: whose profile is computed, and as of when."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def refresh_cutoffs(events: DataFrame, arrived_on: date | None) -> DataFrame:
    """The users to refresh, each as of just after the last thing known of them.

    All users with events, or those of whom something arrived on a day. A profile as of the user's
    own last event stays true while nothing new is known: it needs no refresh for time passing, and
    a day refreshed late takes nobody's profile back to it.
    """
    latest = F.greatest(F.max("event_ts"), F.max("ingest_ts")) + F.expr("INTERVAL 1 MICROSECOND")
    has_arrived = F.lit(True) if arrived_on is None else F.to_date("ingest_ts") == F.lit(arrived_on)
    users = events.groupBy("user_id").agg(
        latest.alias("cutoff_ts"), F.bool_or(has_arrived).alias("has_arrived")
    )
    return users.where("has_arrived").select("user_id", "cutoff_ts")
