"""Known events and items in, the last events at each cutoff out."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.known import PAIR, all_known, in_time
from profile_lib.tables import RECENT_EVENT


def last_events(known: DataFrame, items: DataFrame, most: int) -> DataFrame:
    """(PAIR, user_id, recent): the last `most` events at each cutoff, newest first.

    Of events in a row that are alike (kind, item and text) the newest stands for all. Raises
    where two users share a user_key, which 64 bits all but rule out.
    """
    said = F.coalesce("query", "text")
    alike = F.struct("event_type", "item_id", said.alias("text"))
    kept = (
        known.select(*PAIR, "user_id", "event_ts", "event_id", alike.alias("event"))
        .withColumn("next", F.lead("event").over(in_time()))
        .where(~F.col("event").eqNullSafe(F.col("next")))
        .withColumn("place", F.count("*").over(all_known()) - F.row_number().over(in_time()))
        .where(F.col("place") < most)
        .select(*PAIR, "user_id", "event_ts", "place", "event.*")
    )
    told = items.select("item_id", "title", "category", "price_level")
    fields = [F.col(name) for name in RECENT_EVENT.names]
    listed = (
        kept.join(told, "item_id", "left")
        .groupBy(*PAIR)
        .agg(
            F.collect_set("user_id").alias("users"),
            F.array_sort(F.collect_list(F.struct("place", *fields))).alias("recent"),
        )
    )
    recent = F.transform("recent", lambda e: F.struct(*[e[n].alias(n) for n in RECENT_EVENT.names]))
    shared = F.raise_error(F.lit("known_events: two users share a user_key"))
    user_id = F.when(F.size("users") == 1, F.col("users")[0]).otherwise(shared.cast("string"))
    return listed.select(*PAIR, user_id.alias("user_id"), recent.alias("recent"))
