"""Project a catalog to the columns and word weights that behaviour reads."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.keywords import extract_keywords

ColumnOrName = Column | str
IDF_STEP = 0.25


class ProjectedCatalog(NamedTuple):
    """A catalog as `project_items` and `count_words` return it, and n_items, one row."""

    items: DataFrame
    words: DataFrame
    n_items: DataFrame

    def checkpoint(self) -> "ProjectedCatalog":
        """Compute it once, for several uses within one job."""
        return ProjectedCatalog(*(frame.localCheckpoint() for frame in self))

    def persist(self) -> "ProjectedCatalog":
        """Keep it until `unpersist`; unlike a checkpoint it outlives lost executors."""
        return ProjectedCatalog(*(frame.persist() for frame in self))

    def unpersist(self) -> None:
        """Forget what was kept."""
        for frame in self:
            frame.unpersist()


def project_catalog(items: DataFrame) -> ProjectedCatalog:
    """Project the rows of `items`."""
    return ProjectedCatalog(project_items(items), count_words(items), _count_items(items))


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
    ).crossJoin(F.broadcast(_count_items(items)))
    weight = F.struct("name", inverse_document_frequency("n_items", "n_with_word").alias("idf"))
    weights = counted.groupBy("item_id").agg(
        F.array_sort(F.collect_list(weight)).alias("keyword_weights")
    )
    columns = items.select("item_id", "title", "category", "brand", "price_level")
    return columns.join(weights, "item_id", "left")


def count_words(items: DataFrame) -> DataFrame:
    """Count the items with each stem: query_word, n_with_word, catalog_form.

    `catalog_form` is the form under which `project_items` has the word.
    """
    votes = _explode_items(items).groupBy("stem", "form").agg(F.count("*").alias("votes"))
    return votes.groupBy(F.col("stem").alias("query_word")).agg(
        F.sum("votes").alias("n_with_word"),
        F.max(F.struct("votes", "form"))["form"].alias("catalog_form"),
    )


def weigh_query_words(words: DataFrame, catalog: ProjectedCatalog) -> DataFrame:
    """Add `idf` and `catalog_form` to each row by the stem in its `query_word`.

    `catalog_form` is the form under which `project_items` has the word; null if no item has it.
    """
    joined = words.join(catalog.words, "query_word", "left").crossJoin(F.broadcast(catalog.n_items))
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
    return items.agg(F.count("*").alias("n_items"))
