"""Events, items and cutoffs in, the last events at each cutoff out."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.known import PAIR, in_time, known_events
from profile_lib.tables import RECENT_EVENT


def last_events(events: DataFrame, items: DataFrame, cutoffs: DataFrame, most: int) -> DataFrame:
    """`recent` of each (user_id, cutoff_ts): the last `most` events, newest first.

    Of events in a row that are alike (kind, item and text) the newest stands for all.
    """
    said = F.coalesce("query", "text")
    known = known_events(events, cutoffs, "item_id", "query", "text")
    alike = F.struct("event_type", "item_id", said.alias("text"))
    newest_first = in_time(descending=True)
    kept = (
        known.select(*PAIR, "event_ts", "event_id", alike.alias("event"))
        .withColumn("newer", F.lag("event").over(newest_first))
        .where(~F.col("event").eqNullSafe(F.col("newer")))
        .withColumn("place", F.row_number().over(newest_first))
        .where(F.col("place") <= most)
        .select(*PAIR, "event_ts", "place", "event.*")
    )
    told = items.select("item_id", "title", "category", "price_level")
    fields = [F.col(name) for name in RECENT_EVENT.names]
    listed = (
        kept.join(told, "item_id", "left")
        .groupBy(*PAIR)
        .agg(F.array_sort(F.collect_list(F.struct("place", *fields))).alias("recent"))
    )
    recent = F.transform("recent", lambda e: F.struct(*[e[n].alias(n) for n in RECENT_EVENT.names]))
    return listed.select(*PAIR, recent.alias("recent"))
