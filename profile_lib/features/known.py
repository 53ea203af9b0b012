"""Events and cutoffs in, what was known at each cutoff out: the one place where time is cut."""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

PAIR = ["user_id", "cutoff_ts"]


def known_events(events: DataFrame, cutoffs: DataFrame, *columns: str) -> DataFrame:
    """(user_id, cutoff_ts, event_ts, event_id, event_type, *columns) of what was known.

    An event is known at a cutoff where both its time and its arrival lie before it, strictly.
    """
    wanted = ["user_id", "event_ts", "event_id", "event_type", *columns]
    pairs = events.select(*wanted, "ingest_ts").join(cutoffs.select(*PAIR), "user_id")
    is_known = (F.col("event_ts") < F.col("cutoff_ts")) & (F.col("ingest_ts") < F.col("cutoff_ts"))
    return pairs.where(is_known).drop("ingest_ts")


def in_time(descending: bool = False) -> WindowSpec:
    """What is known at a cutoff, in order of time; events of one moment in order of their id."""
    ts, tie = F.col("event_ts"), F.col("event_id")
    order = [ts.desc(), tie.desc()] if descending else [ts, tie]
    return Window.partitionBy(*PAIR).orderBy(*order)


def all_known() -> WindowSpec:
    """Everything that is known at a cutoff."""
    return Window.partitionBy(*PAIR)


def pieces() -> Column:
    """How many pieces an event is about: one where it does not say."""
    return F.coalesce(F.col("quantity"), F.lit(1))
