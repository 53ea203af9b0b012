"""Known events and items in, what behaviour needs of them out, as rows that are small to move.

One row an event, with what the catalogue says of its item, and one row a counted word of a query.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.keywords import extract_keywords
from profile_lib.tables.events import CONTEXT_COLUMNS, EVENT_TYPES, STEPS

ColumnOrName = Column | str
IDF_STEP = 0.25


def project_events(events_as_of: DataFrame, items: DataFrame) -> DataFrame:
    """Events and words of queries, as `log.build_event_log` reads them.

    Items are joined by broadcast where Spark sees that they are few, else by a shuffle.
    """
    query_words = events_as_of.where("query IS NOT NULL").select(
        *_pair_columns(), F.explode(extract_keywords(F.col("query"))).alias("query_word")
    )
    return _project_event_rows(events_as_of, items).unionByName(
        weigh_query_words(query_words, items), allowMissingColumns=True
    )


def project_items(items: DataFrame) -> DataFrame:
    """(item_id, title, category, brand, price_level, words): all that behaviour takes from the
    catalogue of an item; words are its keywords, each with its `idf`.

    By a window in place of a join, so that Spark knows beforehand that few items make few rows.
    """
    holders = F.count("*").over(Window.partitionBy("name"))
    named = items.select("item_id", F.explode("keywords").alias("name"))
    weighed = named.withColumn("n_holders", holders).crossJoin(_count_items(items))
    word = F.struct("name", inverse_document_frequency("n_items", "n_holders").alias("idf"))
    words = weighed.groupBy("item_id").agg(
        F.array_sort(F.collect_list(word)).alias("keyword_weights")
    )
    facts = items.select("item_id", "title", "category", "brand", "price_level")
    return facts.join(words, "item_id", "left")


def weigh_query_words(words: DataFrame, items: DataFrame) -> DataFrame:
    """Rows with a column `query_word`, a word, and its `idf`, also where no item holds it."""
    holders = (
        items.select(F.explode("keywords").alias("query_word"))
        .groupBy("query_word")
        .agg(F.count("*").alias("n_holders"))
    )
    joined = words.join(holders, "query_word", "left").crossJoin(_count_items(items))
    n_holders = F.coalesce("n_holders", F.lit(0))
    idf = inverse_document_frequency("n_items", n_holders)
    return joined.withColumn("idf", idf).drop("n_holders", "n_items")


def inverse_document_frequency(n_items: ColumnOrName, n_holders: ColumnOrName) -> Column:
    """What a word weighs that so many of the catalogue's items hold, to the next quarter.

    The smooth form of scikit-learn's TfidfTransformer: ln((1 + items) / (1 + holders)) + 1. In
    steps, so that an item more changes what few words weigh, and with them few profiles.
    """
    items, holders = (F.col(c) if isinstance(c, str) else c for c in (n_items, n_holders))
    return F.round((F.log((1 + items) / (1 + holders)) + 1) / IDF_STEP) * IDF_STEP


def _count_items(items: DataFrame) -> DataFrame:
    return F.broadcast(items.agg(F.count("*").alias("n_items")))


def _project_event_rows(events_as_of: DataFrame, items: DataFrame) -> DataFrame:
    joined = events_as_of.join(project_items(items), "item_id", "left")
    return joined.select(
        *_pair_columns(),
        "user_id",
        F.unix_micros("cutoff_ts").alias("cutoff"),
        _category_code("step", STEPS).alias("step"),
        "item_id",
        F.coalesce("query", "text").alias("query_or_text"),
        "rating",
        "price",
        F.coalesce("quantity", F.lit(1)).alias("quantity"),
        F.col("dwell_seconds").alias("dwell_seconds"),
        "order_id",
        *CONTEXT_COLUMNS,
        "title",
        "category",
        "brand",
        "price_level",
        "keyword_weights",
    )


def _pair_columns() -> list[Column]:
    """Of which pair of user and cutoff a row is, and its place in the pair's order."""
    return [
        F.xxhash64("user_id", "cutoff_ts").alias("pair_key"),  # a long: sorted without a comparison
        F.unix_micros("event_ts").alias("micros"),
        F.col("event_id"),
        _category_code("event_type", EVENT_TYPES).alias("kind"),
    ]


def _category_code(column: str, names: tuple[str, ...]) -> Column:
    """The place of a value among these names, -1 where it is none of them."""
    listed = ", ".join(f"'{name}'" for name in names)
    place = F.expr(f"coalesce(array_position(array({listed}), {column}), 0) - 1")
    return place.cast("byte")
