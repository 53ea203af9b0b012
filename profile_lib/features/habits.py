"""Events and cutoffs in, when, where and by what the user comes out."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.known import PAIR, known_events

PLACES = {"channels": "channel", "devices": "device", "regions": "region"}


def count_habits(events: DataFrame, cutoffs: DataFrame) -> DataFrame:
    """active_hours, channels, devices and regions of each (user_id, cutoff_ts)."""
    known = known_events(events, cutoffs, *PLACES.values())
    counted = known.groupBy(*PAIR, *PLACES.values(), F.hour("event_ts").alias("hour")).count()
    grouped = counted.groupBy(*PAIR).agg(
        F.collect_list(F.struct(*PLACES.values(), "hour", "count")).alias("seen")
    )
    hours = F.transform(F.sequence(F.lit(0), F.lit(23)), lambda h: _sum_where("hour", h))
    maps = [_counts_by(column).alias(name) for name, column in PLACES.items()]
    return grouped.select(*PAIR, hours.alias("active_hours"), *maps)


def _sum_where(field: str, value: Column) -> Column:
    return F.aggregate(
        F.filter("seen", lambda s: s[field] == value),
        F.lit(0).cast("long"),
        lambda total, s: total + s["count"],
    )


def _counts_by(field: str) -> Column:
    values = F.array_sort(F.array_distinct(F.transform("seen", lambda s: s[field])))
    known = F.filter(values, lambda v: v.isNotNull())
    return F.map_from_arrays(known, F.transform(known, lambda v: _sum_where(field, v)))
