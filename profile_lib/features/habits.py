"""Known events in, when, where and by what the user comes out."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.known import PAIR
from profile_lib.tables import ORIGINS

PLACES = {f"{origin}s": origin for origin in ORIGINS}  # column of behaviour → of events


def count_habits(known: DataFrame) -> DataFrame:
    """active_hours and, by each origin, the events of each (user_key, cutoff_ts)."""
    return count_hours(known).join(count_places(known), PAIR)


def count_hours(known: DataFrame) -> DataFrame:
    """active_hours: how many events in each hour of the day, UTC."""
    hours = [F.count_if(F.col("hour") == h) for h in range(24)]
    timed = known.select(*PAIR, F.hour("event_ts").alias("hour"))
    return timed.groupBy(*PAIR).agg(F.array(*hours).alias("active_hours"))


def count_places(known: DataFrame) -> DataFrame:
    """A map a place: how many events of each of its values."""
    counted = known.groupBy(*PAIR, *PLACES.values()).count()
    grouped = counted.groupBy(*PAIR).agg(
        F.collect_list(F.struct(*PLACES.values(), "count")).alias("seen")
    )
    return grouped.select(*PAIR, *[_counts_by(c).alias(n) for n, c in PLACES.items()])


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
