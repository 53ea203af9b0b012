"""Select the events known as of a cutoff; no other module may do this."""

from datetime import datetime

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.spark.timestamps import just_after, known_time
from profile_lib.tables.events import CONTEXT_COLUMNS, EVENT_ORDER

EVENT_COLUMNS = (
    *EVENT_ORDER, "event_type", "item_id", "query", "text", "rating", "price", "quantity",
    "dwell_seconds", "order_id", "step", "time_zone", *CONTEXT_COLUMNS,
)  # fmt: skip


def add_latest_cutoff(events: DataFrame) -> DataFrame:
    """Add to each event its user's latest cutoff: just after the last event became known.

    All events of the user are known as of this cutoff. A value computed as of it stays valid until
    another event arrives, however much time passes. The cutoffs of examples have the same distance
    from the events before them. Returns user_id, EVENT_COLUMNS and cutoff_ts.
    """
    last = F.max(known_time()).over(Window.partitionBy("user_id"))
    return events.select("user_id", *EVENT_COLUMNS, just_after(last).alias("cutoff_ts"))


def join_events_as_of(events: DataFrame, cutoffs: DataFrame) -> DataFrame:
    """Join each (user_id, cutoff_ts) with the events known as of the cutoff.

    An event is known as of a cutoff if both its time and its arrival are strictly earlier. Returns
    user_id, EVENT_COLUMNS and cutoff_ts, in any order.
    """
    columns = events.select("user_id", *EVENT_COLUMNS, known_time().alias("known_ts"))
    pairs = cutoffs.select("user_id", "cutoff_ts")
    return columns.join(pairs, "user_id").where("known_ts < cutoff_ts").drop("known_ts")


def select_known_events(events: DataFrame, as_of: datetime) -> DataFrame:
    """Select the events of all users that were known as of one moment."""
    return events.where(known_time() < F.lit(as_of))
