"""Select the events known as of a cutoff; no other module may do this."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.tables.events import CONTEXT_COLUMNS

EVENT_COLUMNS = (
    "event_ts", "event_id", "event_type", "item_id", "query", "text", "rating", "price",
    "quantity", "dwell_seconds", "order_id", "step", *CONTEXT_COLUMNS,
)  # fmt: skip


def add_latest_cutoff(events: DataFrame) -> DataFrame:
    """Add to each event its user's latest cutoff: just after the last event or arrival.

    All events of the user are known as of this cutoff. A value computed as of it stays valid until
    another event arrives, however much time passes. Returns user_id, EVENT_COLUMNS and cutoff_ts.
    """
    last = F.max(F.greatest("event_ts", "ingest_ts")).over(Window.partitionBy("user_id"))
    cutoff = last + F.expr("INTERVAL 1 MICROSECOND")
    return events.select("user_id", *EVENT_COLUMNS, cutoff.alias("cutoff_ts"))


def join_events_as_of(events: DataFrame, cutoffs: DataFrame) -> DataFrame:
    """Join each (user_id, cutoff_ts) with the events known as of the cutoff.

    An event is known as of a cutoff if both its time and its arrival are strictly earlier. Returns
    user_id, EVENT_COLUMNS and cutoff_ts, in any order.
    """
    is_known = (F.col("event_ts") < F.col("cutoff_ts")) & (F.col("ingest_ts") < F.col("cutoff_ts"))
    columns = events.select("user_id", *EVENT_COLUMNS, "ingest_ts")
    pairs = cutoffs.select("user_id", "cutoff_ts")
    return columns.join(pairs, "user_id").where(is_known).drop("ingest_ts")
