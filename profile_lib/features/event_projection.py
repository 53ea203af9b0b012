"""Project histories to the rows that behaviour needs.

There is one row per event, with the catalog's columns of its item, one row per keyword of a search
query, and one row per pair of user and cutoff with older events. The keywords have rows of their
own so that only they are joined by word.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.as_of import PAIR
from profile_lib.features.histories import unfold_events
from profile_lib.features.keywords import extract_keywords
from profile_lib.spark.timestamps import local_time
from profile_lib.tables.events import CONTEXT_COLUMNS, EVENT_TYPES, STEPS

ColumnOrName = Column | str
IDF_STEP = 0.25


def project_histories(histories: DataFrame, items: DataFrame, time_zone: str) -> DataFrame:
    """Return the rows that `build_event_log` reads from histories as of cutoffs.

    `time_zone` is the shop's, for events without one. Spark broadcasts the items if they are few,
    else it shuffles.
    """
    events_as_of = unfold_events(histories, PAIR)
    older = histories.where("older_known_ts IS NOT NULL").select(
        *_pair_keys(), F.unix_micros("first_ts").alias("first_micros"), "older"
    )
    query_words = events_as_of.where("query IS NOT NULL").select(
        *_pair_columns(), explode_keywords(F.col("query"))
    )
    named = weigh_query_words(query_words, items).withColumns(
        {
            "query_word": F.coalesce("catalog_form", "query_word"),
            "query_form": F.coalesce("catalog_form", "query_form"),
        }
    )
    rows = _project_event_rows(events_as_of, items, time_zone)
    for others in (named.drop("catalog_form"), older):
        rows = rows.unionByName(others, allowMissingColumns=True)
    return rows


def explode_keywords(query: Column) -> Column:
    """Return one row per keyword of a query: its stem `query_word`, and its `query_form`."""
    words = extract_keywords(query)
    pairs = F.arrays_zip(words["stems"].alias("query_word"), words["forms"].alias("query_form"))
    return F.inline(pairs)


def project_items(items: DataFrame) -> DataFrame:
    """Select (item_id, title, category, brand, price_level, keyword_weights) of all items.

    `keyword_weights` holds each keyword of an item with its `idf`, under the form that the catalog
    has most often for its stem. Items and forms are counted by windows, not by joins, so that
    Spark's estimate of the size stays low for a small catalog.
    """
    by_stem = Window.partitionBy("stem")
    votes = F.count("*").over(Window.partitionBy("stem", "form"))
    words = _explode_items(items, "item_id").repartition("stem").withColumn("votes", votes)
    counted = words.select(
        "item_id",
        F.max(F.struct("votes", "form")).over(by_stem)["form"].alias("name"),
        F.count("*").over(by_stem).alias("n_with_word"),
    ).crossJoin(_count_items(items))
    weight = F.struct("name", inverse_document_frequency("n_items", "n_with_word").alias("idf"))
    weights = counted.groupBy("item_id").agg(
        F.array_sort(F.collect_list(weight)).alias("keyword_weights")
    )
    columns = items.select("item_id", "title", "category", "brand", "price_level")
    return columns.join(weights, "item_id", "left")


def weigh_query_words(words: DataFrame, items: DataFrame) -> DataFrame:
    """Add `idf` and `catalog_form` to each row by the stem in its `query_word`.

    `catalog_form` is the form under which `project_items` has the word; null if no item has it.
    """
    votes = _explode_items(items).groupBy("stem", "form").agg(F.count("*").alias("votes"))
    counts = votes.groupBy(F.col("stem").alias("query_word")).agg(
        F.sum("votes").alias("n_with_word"),
        F.max(F.struct("votes", "form"))["form"].alias("catalog_form"),
    )
    joined = words.join(counts, "query_word", "left").crossJoin(_count_items(items))
    n_with_word = F.coalesce("n_with_word", F.lit(0))
    idf = inverse_document_frequency("n_items", n_with_word)
    return joined.withColumn("idf", idf).drop("n_with_word", "n_items")


def inverse_document_frequency(n_items: ColumnOrName, n_with_word: ColumnOrName) -> Column:
    """Return the inverse document frequency of a word, rounded to a quarter.

    It is the smooth form of scikit-learn's TfidfTransformer, ln((1 + n) / (1 + m)) + 1 with n items
    in all and m with the word. It is rounded so that one more item changes the weights of few
    words, and with them few profiles.
    """
    n, m = (F.col(c) if isinstance(c, str) else c for c in (n_items, n_with_word))
    return F.round((F.log((1 + n) / (1 + m)) + 1) / IDF_STEP) * IDF_STEP


def _explode_items(items: DataFrame, *columns: str) -> DataFrame:
    """Return one row per keyword of an item: the columns, `stem` and `form`."""
    forms = F.coalesce("keyword_forms", "keywords")  # items of earlier versions have stems alone
    pairs = F.arrays_zip(F.col("keywords").alias("stem"), forms.alias("form"))
    return items.select(*columns, F.inline(pairs))


def _count_items(items: DataFrame) -> DataFrame:
    return F.broadcast(items.agg(F.count("*").alias("n_items")))


def _project_event_rows(events_as_of: DataFrame, items: DataFrame, time_zone: str) -> DataFrame:
    joined = events_as_of.join(project_items(items), "item_id", "left")
    return joined.select(
        *_pair_columns(),
        "user_id",
        F.unix_micros("cutoff_ts").alias("cutoff"),
        F.unix_micros(local_time(F.col("event_ts"), time_zone)).alias("local_micros"),
        F.unix_micros(local_time(F.col("cutoff_ts"), time_zone)).alias("local_cutoff"),
        F.col("time_zone").isNotNull().alias("has_time_zone"),
        _category_code("step", STEPS).alias("step"),
        "item_id",
        F.coalesce("query", "text").alias("query_or_text"),
        "rating",
        "price",
        F.coalesce("quantity", F.lit(1.0)).alias("quantity"),
        "dwell_seconds",
        "order_id",
        *CONTEXT_COLUMNS,
        "title",
        "category",
        "brand",
        "price_level",
        "keyword_weights",
    )


def _pair_keys() -> list[Column]:
    """Return two hashes of the pair: longs, which Spark sorts fastest, and together unique."""
    return [
        F.xxhash64(*PAIR).alias("pair_key"),
        F.xxhash64(F.lit("second"), *PAIR).alias("second_pair_key"),
    ]


def _pair_columns() -> list[Column]:
    """Return the columns of rows of events and words: pair keys, sort keys and kind."""
    return [
        *_pair_keys(),
        F.unix_micros("event_ts").alias("micros"),
        F.col("sequence"),
        F.col("event_id"),
        _category_code("event_type", EVENT_TYPES).alias("kind"),
    ]


def _category_code(column: str, names: tuple[str, ...]) -> Column:
    """Return the index of a value among these names; -1 for any other value."""
    listed = ", ".join(f"'{name}'" for name in names)
    code = F.expr(f"coalesce(array_position(array({listed}), {column}), 0) - 1")
    return code.cast("byte")
