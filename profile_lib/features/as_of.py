"""Events and cutoffs in, what was known at each cutoff out: the one place where time is cut."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.tables.events import CONTEXT_COLUMNS

EVENT_COLUMNS = (
    "event_ts", "event_id", "event_type", "item_id", "query", "text", "rating", "price",
    "quantity", "dwell_seconds", "order_id", "step", *CONTEXT_COLUMNS,
)  # fmt: skip


def add_latest_cutoff(events: DataFrame) -> DataFrame:
    """Each event with EVENT_COLUMNS at the one cutoff of its user where all is known: `cutoff_ts` is
    just after the last thing that happened or arrived.

    What is computed as of then stays true while nothing new is known: it needs no refresh for time
    passing.
    """
    last = F.max(F.greatest("event_ts", "ingest_ts")).over(Window.partitionBy("user_id"))
    cutoff = last + F.expr("INTERVAL 1 MICROSECOND")
    return events.select("user_id", *EVENT_COLUMNS, cutoff.alias("cutoff_ts"))


def join_events_as_of(events: DataFrame, cutoffs: DataFrame) -> DataFrame:
    """Each event at each (user_id, cutoff_ts) where it was known, with EVENT_COLUMNS; in any order.

    An event is known at a cutoff where both its time and its arrival lie before it, strictly.
    """
    is_known = (F.col("event_ts") < F.col("cutoff_ts")) & (F.col("ingest_ts") < F.col("cutoff_ts"))
    wanted = events.select("user_id", *EVENT_COLUMNS, "ingest_ts")
    pairs = cutoffs.select("user_id", "cutoff_ts")
    return wanted.join(pairs, "user_id").where(is_known).drop("ingest_ts")
