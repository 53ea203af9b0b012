"""Derive the catalog from the statistics of items."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.keywords import extract_keywords
from profile_lib.tables import ITEMS

# Column of `items` → column of `item_statistics` that counts its values.
CATALOG_COLUMNS = {"title": "titles", "category": "categories", "brand": "brands"}
PRICE_LEVEL_STEPS = 20  # a price level is a multiple of 1/20


def derive_items(statistics: DataFrame) -> DataFrame:
    """Derive (item_id, title, category, brand, price) from `item_statistics`.

    A declared value wins. Without one, a text is the most frequent of all events, the greatest of
    equally frequent ones, and the price is the median of all events.
    """

    def declared(name: str) -> Column:
        return F.col("declared")[name]["value"]

    texts = [
        F.coalesce(declared(name), most_frequent(F.col(counts))).alias(name)
        for name, counts in CATALOG_COLUMNS.items()
    ]
    price = F.coalesce(declared("price").cast("double"), median(F.col("prices")))
    return statistics.select("item_id", *texts, price.alias("price"))


def most_frequent(counts: Column) -> Column:
    """Return the key with the greatest count; null for an empty map.

    If counts are equal, it is the greatest of their keys.

    >>> frame = spark.createDataFrame([({"mug": 2, "tea": 3, "cup": 3},)], "n map<string,long>")
    >>> frame.select(most_frequent(F.col("n"))).first()[0]
    'tea'
    """
    votes = F.transform(F.map_entries(counts), lambda e: F.struct(e["value"], e["key"].alias("k")))
    return F.array_max(votes)["k"]


def median(counts: Column) -> Column:
    """Return the median of the counted keys; null for an empty map.

    A key occurs as often as its count says. If the number of values is even, the median is the mean
    of the two in the middle.

    >>> frame = spark.createDataFrame([({0.01: 1, 30.0: 2, 10.0: 1},)], "n map<double,long>")
    >>> frame.select(median(F.col("n"))).first()[0]
    20.0
    """
    entries = F.array_sort(F.map_entries(counts))
    total = F.aggregate(F.map_values(counts), F.lit(0).cast("long"), lambda sum_, n: sum_ + n)
    start = F.expr(
        "named_struct('n', 0L, 'low', CAST(NULL AS DOUBLE), 'high', CAST(NULL AS DOUBLE))"
    )

    def step(state: Column, entry: Column) -> Column:
        n = state["n"] + entry["value"]
        return F.struct(
            n.alias("n"),
            F.coalesce(state["low"], F.when(2 * n >= total, entry["key"])).alias("low"),
            F.coalesce(state["high"], F.when(2 * n > total, entry["key"])).alias("high"),
        )

    return F.aggregate(entries, start, step, lambda state: (state["low"] + state["high"]) / 2)


def compare_items(derived: DataFrame, stored: DataFrame) -> DataFrame:
    """Add price levels, and the stored row of each item as `before`.

    `before` is null for a new item. Stored items without statistics are added. `price_level` is the
    share of the priced items of the category that cost less. It is rounded to 1/20, so that one
    more item changes the levels of few others, and with them few profiles.
    """
    columns = [name for name in derived.columns if name != "item_id"]
    before = stored.select("item_id", F.struct(*ITEMS.column_names()[1:]).alias("before"))
    joined = derived.withColumn("is_derived", F.lit(True)).join(before, "item_id", "full_outer")
    values = [
        F.when(F.col("is_derived"), F.col(name)).otherwise(F.col("before")[name]).alias(name)
        for name in columns
    ]
    in_category = Window.partitionBy("category", F.col("price").isNull()).orderBy("price")
    level = F.when(
        F.col("price").isNotNull(),
        F.round(F.percent_rank().over(in_category) * PRICE_LEVEL_STEPS) / PRICE_LEVEL_STEPS,
    )
    return joined.select("item_id", *values, "before").withColumn("price_level", level)


def add_keywords(compared: DataFrame) -> DataFrame:
    """Add the keywords of the title, and their forms."""
    words = extract_keywords(F.col("title"))
    return compared.withColumns({"keywords": words["stems"], "keyword_forms": words["forms"]})


def select_differing_items(compared: DataFrame) -> DataFrame:
    """Select the rows of `compare_items` that are new or differ from the stored row."""
    columns = compared.drop("item_id", "before").columns
    before = F.struct(*[F.col("before")[name].alias(name) for name in columns])
    is_equal = F.struct(*columns).eqNullSafe(before)
    return compared.where(F.col("before").isNull() | ~is_equal)
