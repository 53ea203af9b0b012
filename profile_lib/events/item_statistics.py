"""Count what events say about items, in any order of batches."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.events.dimensions import DECLARED_ITEM_COLUMNS
from profile_lib.events.facts import aggregate_facts, merge_facts
from profile_lib.events.texts import normalise_text
from profile_lib.tables import ITEM_STATISTICS

# Column of an event → column of `item_statistics` that counts its values.
TEXT_COUNTS = {"title": "titles", "category": "categories", "brand": "brands"}
MAX_TEXTS = 20  # counted per item and column; an item has few
MAX_PRICES = 100  # counted per item: its price on as many days
MAX_BATCH_IDS = 50  # remembered per item: batches between a killed run and its repetition

# A batch that was counted already is not counted again.
IS_NEW_BATCH = "NOT array_contains(target.batch_ids, source.batch_ids[0])"


def build_item_statistics(
    events: DataFrame, declared: DataFrame | None, max_text_chars: int, batch_id: str
) -> DataFrame:
    """Build the rows of `item_statistics` that a batch adds.

    `events` has the columns item_id and price, and may have title, category and brand. `declared`
    is the result of `declared_items`. A text is cut after `max_text_chars` characters.
    """
    rows = _count_values(events, max_text_chars)
    if declared is not None:
        rows = rows.join(_latest_description(declared, max_text_chars), "item_id", "full_outer")
    types = {c.name: c.type for c in ITEM_STATISTICS.columns}
    known = {n: F.col(n) if n in rows.columns else F.lit(None).cast(t) for n, t in types.items()}
    maps = (*TEXT_COUNTS.values(), "prices", "declared")
    values = {n: F.coalesce(known[n], F.create_map().cast(types[n])).alias(n) for n in maps}
    return rows.select("item_id", *values.values(), F.array(F.lit(batch_id)).alias("batch_ids"))


def merged_statistics() -> dict[str, Column]:
    """Return the columns of `item_statistics`, merged from `source` and `target`."""
    limits = dict.fromkeys(TEXT_COUNTS.values(), MAX_TEXTS) | {"prices": MAX_PRICES}
    counts = {name: _add_counts(name, limit) for name, limit in limits.items()}
    batch_ids = F.concat("source.batch_ids", "target.batch_ids")
    return counts | {
        "declared": merge_facts(F.col("target.declared"), F.col("source.declared")),
        "batch_ids": F.slice(batch_ids, 1, MAX_BATCH_IDS),
    }


def keep_most_frequent(counts: Column, limit: int) -> Column:
    """Keep the `limit` most frequent values of a map of counts, in that order.

    A hash decides between equally frequent values, so that those that stay are a sample: with
    the greatest ones, the median of many prices that occur once would be too high.

    >>> frame = spark.createDataFrame([({"mug": 1, "cup": 3, "tea": 2},)], "n map<string,long>")
    >>> frame.select(F.map_keys(keep_most_frequent(F.col("n"), 2))).first()[0]
    ['cup', 'tea']
    """
    ranked = F.transform(
        F.map_entries(counts),
        lambda e: F.struct(
            (-e["value"]).alias("rank"), F.xxhash64(e["key"]).alias("tie"), e.alias("entry")
        ),
    )
    kept = F.slice(F.array_sort(ranked), 1, limit)
    return F.map_from_entries(F.transform(kept, lambda e: e["entry"]))


def _add_counts(name: str, limit: int) -> Column:
    zero = F.lit(0)
    counts = F.map_zip_with(
        F.col(f"target.{name}"),
        F.col(f"source.{name}"),
        lambda _, x, y: F.coalesce(x, zero) + F.coalesce(y, zero),
    )
    return keep_most_frequent(counts, limit)


def _count_values(events: DataFrame, max_text_chars: int) -> DataFrame:
    """Count the values of each column per item: item_id and the maps of counts.

    Texts are normalised after a first count, because one title occurs in many events.
    """
    texts = {n: F.col(n) if n in events.columns else F.lit(None) for n in TEXT_COUNTS}
    described = events.where("item_id IS NOT NULL").select(
        "item_id", *[c.cast("string").alias(n) for n, c in texts.items()], "price"
    )
    counted = described.groupBy("item_id", *TEXT_COUNTS, "price").agg(F.count("*").alias("n"))
    no_text, no_price = F.lit(None).cast("string"), F.lit(None).cast("double")

    def observation(column: str, text: Column, price: Column) -> Column:
        return F.struct(F.lit(column).alias("column"), text.alias("text"), price.alias("price"))

    observations = [
        observation(counts, _normalise(column, max_text_chars), no_price)
        for column, counts in TEXT_COUNTS.items()
    ]
    observations.append(observation("prices", no_text, F.col("price")))
    values = (
        counted.select("item_id", F.inline(F.array(*observations)), "n")
        .groupBy("item_id", "column", "text", "price")
        .agg(F.sum("n").alias("n"))
    )
    maps = [_collect_counts(c, "text", MAX_TEXTS).alias(c) for c in TEXT_COUNTS.values()]
    maps.append(_collect_counts("prices", "price", MAX_PRICES).alias("prices"))
    return values.groupBy("item_id").agg(*maps)


def _normalise(column: str, max_text_chars: int) -> Column:
    return normalise_text(F.col(column), max_text_chars, is_lower_case=column != "title")


def _collect_counts(column: str, value: str, limit: int) -> Column:
    is_counted = (F.col("column") == column) & F.col(value).isNotNull()
    entry = F.when(is_counted, F.struct(value, "n"))
    return keep_most_frequent(F.map_from_entries(F.collect_list(entry)), limit)


def _latest_description(declared: DataFrame, max_text_chars: int) -> DataFrame:
    """Return the latest facts of a catalog: item_id, declared."""
    is_price = (F.col("price") >= 0) & (F.col("price") < float("inf"))  # neither NaN nor infinite
    values = {
        name: F.when(is_price, F.col(name)) if name == "price" else _normalise(name, max_text_chars)
        for name in DECLARED_ITEM_COLUMNS
        if name in declared.columns
    }
    facts = aggregate_facts(F.col("declared_ts"), values)
    return declared.groupBy("item_id").agg(facts.alias("declared"))
