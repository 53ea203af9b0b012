"""Count events by day and value, from which drift is measured."""

from itertools import pairwise

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

MAX_VALUES = 50  # most frequent values of a field on a day that are counted one by one
MAX_VALUE_CHARS = 100
OTHER, MISSING = "(other)", "(missing)"
# Bounds of the price bands, in the base currency: each band is twice as wide as the one below it.
PRICE_BOUNDS = (0.0, *(2.0**power for power in range(-3, 24)))
SIGN = "sign"  # column of `count_daily_values`: 1 for an event that is added, -1 for one removed
DAY_KEY = ("source", "day", "field")


def count_daily_values(events: DataFrame, items: DataFrame) -> DataFrame:
    """Count events per source, day, field and value: DAY_KEY, value, n_rows.

    `events` has the columns of the table `events` and SIGN; `items` has item_id and category. The
    fields are event_type, price_band, category (of the item) and language. Each event counts once
    per field, with MISSING in place of null.
    """
    categories = items.select("item_id", "category")
    values = {
        "event_type": F.col("event_type"),
        "price_band": price_band(F.col("price")),
        "category": F.substring("category", 1, MAX_VALUE_CHARS),
        "language": F.col("language"),
    }
    pairs = [x for name, value in values.items() for x in (F.lit(name), value)]
    by_field = (
        events.select("source", "event_date", "event_type", "price", "language", "item_id", SIGN)
        .join(categories, "item_id", "left")
        .select(
            "source",
            F.col("event_date").alias("day"),
            F.explode(F.create_map(*pairs)).alias("field", "value"),
            SIGN,
        )
        .withColumn("value", F.coalesce("value", F.lit(MISSING)))
    )
    counts = by_field.groupBy(*DAY_KEY, "value").agg(F.sum(SIGN).alias("n_rows"))
    return keep_frequent_values(counts).where("n_rows <> 0")


def keep_frequent_values(counts: DataFrame) -> DataFrame:
    """Sum the counts of all but the MAX_VALUES most frequent values as OTHER.

    `counts` has one row per DAY_KEY and value, and so has the result. Every value with at least
    1 / MAX_VALUES of a day's events keeps its own row.
    """
    by_count = Window.partitionBy(*DAY_KEY).orderBy(F.abs("n_rows").desc(), "value")
    is_frequent = F.row_number().over(by_count) <= MAX_VALUES
    value = F.when(is_frequent, F.col("value")).otherwise(OTHER).alias("value")
    return (
        counts.select(*DAY_KEY, value, "n_rows")
        .groupBy(*DAY_KEY, "value")
        .agg(F.sum("n_rows").alias("n_rows"))
    )


def price_band(price: Column) -> Column:
    """Return the band of a price; null if it is null.

    The upper bound of a band is twice its lower one, which belongs to it.

    >>> frame = spark.createDataFrame([(0.0,), (0.1,), (7.99,), (8.0,), (2.0**24,)], "p double")
    >>> [row[0] for row in frame.select(price_band(F.col("p"))).collect()]
    ['0', 'below 0.125', '4 to 8', '8 to 16', '8388608 or more']
    """
    first, last = PRICE_BOUNDS[1], PRICE_BOUNDS[-1]
    band = F.when(price == 0, "0").when(price < first, f"below {first:g}")
    for low, high in pairwise(PRICE_BOUNDS[1:]):
        band = band.when(price < high, f"{low:.10g} to {high:.10g}")
    return band.when(price >= last, f"{last:.10g} or more")
