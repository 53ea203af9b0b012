"""Write what drift needs of a batch: its events by day and value."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.events.daily_values import SIGN, count_daily_values
from profile_lib.tables import DAILY_VALUE_COUNTS, EVENTS, ITEMS


def write_daily_values(
    store: Store, source: str, batch_id: str, added: DataFrame, removed: DataFrame | None
) -> None:
    """Count the events that a batch adds, less those that it removes.

    A batch that is written again leaves the counts of its first time, also if the categories of
    items have changed since.
    """
    of_batch = (F.col("source") == source) & (F.col("batch_id") == batch_id)
    if not store.read_or_empty(DAILY_VALUE_COUNTS).where(of_batch).isEmpty():
        return
    columns = EVENTS.column_names()
    changes = added.select(*columns, F.lit(1).alias(SIGN))
    if removed is not None:
        changes = changes.unionByName(removed.select(*columns, F.lit(-1).alias(SIGN)))
    counts = count_daily_values(changes, store.read_or_empty(ITEMS))
    store.append(DAILY_VALUE_COUNTS, counts.withColumn("batch_id", F.lit(batch_id)))
