"""Events and cutoffs in, what was known at each cutoff out: the one place where time is cut."""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from profile_lib.tables import ORIGINS

PAIR = ["user_key", "cutoff_ts"]  # a long and a time: small keys for what is grouped often
COLUMNS = (
    "event_ts", "event_id", "event_type", "item_id", "query", "text", "rating", "price",
    "quantity", "dwell_seconds", "order_id", "step", *ORIGINS,
)  # fmt: skip


def known_events(events: DataFrame, cutoffs: DataFrame) -> DataFrame:
    """Each event at each (user_id, cutoff_ts) where it was known: PAIR, user_id and COLUMNS.

    An event is known at a cutoff where both its time and its arrival lie before it, strictly.
    Rows are partitioned by user and sorted by time, so that what is computed of them, when they
    are kept, needs neither a shuffle nor a sort.
    """
    key = F.xxhash64("user_id").alias("user_key")
    pairs = cutoffs.select(key, "user_id", "cutoff_ts")
    wanted = events.select(key, "user_id", *COLUMNS, "ingest_ts").repartition("user_key")
    is_known = (F.col("event_ts") < F.col("cutoff_ts")) & (F.col("ingest_ts") < F.col("cutoff_ts"))
    known = wanted.join(pairs, ["user_key", "user_id"]).where(is_known).drop("ingest_ts")
    return known.sortWithinPartitions(*PAIR, "event_ts", "event_id")


def in_time() -> WindowSpec:
    """What is known at a cutoff, in order of time; events of one moment in order of their id."""
    return Window.partitionBy(*PAIR).orderBy("event_ts", "event_id")


def all_known() -> WindowSpec:
    """Everything that is known at a cutoff."""
    return Window.partitionBy(*PAIR)


def pieces() -> Column:
    """How many pieces an event is about: one where it does not say."""
    return F.coalesce(F.col("quantity"), F.lit(1))
