"""Known events and items in, interests and what was seen of the catalogue out."""

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.features.known import PAIR
from profile_lib.features.words import keywords
from profile_lib.tables import INTERESTS
from profile_lib.timeline import seconds

CATEGORY, BRAND, KEYWORD = range(3)
KINDS = {CATEGORY: "category", BRAND: "brand", KEYWORD: "keyword"}


def seen_items(known: DataFrame, weights: Mapping[str, float], half_life: timedelta) -> DataFrame:
    """One row a (user_key, cutoff_ts, item_id): its decayed weight as of the cutoff, and counts."""
    is_seen = F.col("event_type").isin("view", "click") & (
        F.col("event_ts") >= F.col("cutoff_ts") - F.expr("INTERVAL 7 DAYS")
    )
    return (
        known.where("item_id IS NOT NULL")
        .groupBy(*PAIR, "item_id")
        .agg(
            F.sum(_decayed(weights, half_life)).alias("weight"),
            F.max("event_ts").alias("last_ts"),
            F.max(F.when(F.col("event_type") == "cart", F.col("event_ts"))).alias("added_ts"),
            F.count_if(is_seen).alias("n_views_7d"),
            F.count_if(F.col("event_type") == "purchase").alias("n_bought"),
        )
    )


def summarise_items(seen: DataFrame) -> DataFrame:
    """Numbers over the items seen, and `seen_items`: (last_ts, added_ts, category) of each."""
    bought_level = F.when(F.col("n_bought") > 0, F.col("price_level"))
    in_time = F.struct("last_ts", "item_id")
    return seen.groupBy(*PAIR).agg(
        F.count("*").alias("n_items"),
        F.max("n_views_7d").alias("most_views_of_an_item"),
        F.avg("price_level").alias("price_level"),
        F.avg(bought_level).alias("bought_price_level"),
        F.count("added_ts").alias("n_items_added"),
        F.max_by("n_views_7d", in_time).alias("views_of_last_item"),
        F.max_by(F.col("added_ts").isNotNull(), in_time).alias("is_last_item_added"),
        F.collect_list(F.struct("last_ts", "added_ts", "category")).alias("seen_items"),
    )


def in_session(field: str | None = None, when: str = "last_ts") -> Column:
    """How many of `seen_items`, or different values of a `field`, have `when` in the session."""
    touched = F.filter("seen_items", lambda item: item[when] >= F.col("session_start_ts"))
    if field is not None:
        touched = F.array_compact(F.array_distinct(F.transform(touched, lambda item: item[field])))
    return F.coalesce(F.size(touched), F.lit(0)).cast("long")


def rank_interests(seen: DataFrame, asked: DataFrame, most: int) -> DataFrame:
    """The `most` strongest categories, brands and keywords of each (user, cutoff), as of it.

    A keyword's weight is the decayed weight of the items and queries that hold it (term
    frequency) times its inverse document frequency in the catalogue (TF-IDF).
    """
    one = F.lit(1.0)
    named = F.array(_named(CATEGORY, F.col("category"), one), _named(BRAND, F.col("brand"), one))
    words = F.transform("words", lambda word: _named(KEYWORD, word["name"], word["idf"]))
    of_items = seen.select(
        *PAIR,
        "weight",
        F.inline(F.when(F.col("words").isNull(), named).otherwise(F.concat(named, words))),
    )
    of_queries = asked.select(
        *PAIR, "weight", F.lit(KEYWORD).cast("byte").alias("kind"), "name", "factor"
    )
    summed = (
        of_items.unionByName(of_queries)
        .where(F.col("name").isNotNull())
        .groupBy(*PAIR, "kind", "name")
        .agg(F.sum(F.col("weight") * F.col("factor")).alias("weight"))
    )
    strength = F.struct((-F.col("weight")).alias("minus"), "name")
    lists = [
        F.collect_list(F.when(F.col("kind") == k, strength)).alias(n) for k, n in KINDS.items()
    ]
    strongest = [_strongest(n, most) for n in KINDS.values()]
    return summed.groupBy(*PAIR).agg(*lists).select(*PAIR, *strongest)


def query_words(
    known: DataFrame, idf: DataFrame, weights: Mapping[str, float], half_life: timedelta
) -> DataFrame:
    """(user_key, cutoff_ts, name, weight, factor) of the counted words of the queries known.

    Each different query is cut once. A word that no item holds has the idf of one that none holds.
    """
    queries = known.where("query IS NOT NULL")
    n_items = F.coalesce(F.max("n_items"), F.lit(0))
    unseen = idf.agg((F.log(1.0 + n_items) + 1).alias("unseen"))
    words = (
        queries.select("query")
        .distinct()
        .select("query", F.explode(keywords(F.col("query"))).alias("name"))
        .join(idf, "name", "left")
        .crossJoin(F.broadcast(unseen))
        .select("query", "name", F.coalesce("idf", "unseen").alias("factor"))
    )
    asked = queries.groupBy(*PAIR, "query").agg(F.sum(_decayed(weights, half_life)).alias("weight"))
    return asked.join(words, "query").select(*PAIR, "name", "weight", "factor")


def inverse_document_frequency(items: DataFrame) -> DataFrame:
    """(name, idf, n_items) of every keyword: ln((1 + items) / (1 + items with it)) + 1.

    The smooth form of scikit-learn's TfidfTransformer.
    """
    n_items = items.agg(F.count("*").alias("n_items"))
    holders = (
        items.select(F.explode(F.array_distinct("keywords")).alias("name")).groupBy("name").count()
    )
    idf = F.log((1 + F.col("n_items")) / (1 + F.col("count"))) + 1
    return holders.crossJoin(F.broadcast(n_items)).select("name", idf.alias("idf"), "n_items")


def weigh_words(items: DataFrame, idf: DataFrame) -> DataFrame:
    """The catalogue with `words`: the item's keywords, each with its idf."""
    weighed = (
        items.select("item_id", F.explode("keywords").alias("name"))
        .join(idf.select("name", "idf"), "name")
        .groupBy("item_id")
        .agg(F.collect_list(F.struct("name", "idf")).alias("words"))
    )
    known = items.select("item_id", "category", "brand", "price_level")
    return known.join(weighed, "item_id", "left")


def as_of_last_event(interests: Column, age_seconds: Column, half_life: timedelta) -> Column:
    """Interests decayed to the cutoff, taken back to `age_seconds` before it."""
    factor = F.pow(F.lit(2.0), age_seconds / half_life.total_seconds())
    scaled = F.transform(
        interests, lambda i: F.struct(i["name"], (i["weight"] * factor).alias("weight"))
    )
    return F.coalesce(scaled, F.array()).cast(INTERESTS)


def _decayed(weights: Mapping[str, float], half_life: timedelta) -> Column:
    weight = F.lit(0.0)
    for kind, value in weights.items():
        weight = F.when(F.col("event_type") == kind, float(value)).otherwise(weight)
    age = seconds(F.col("cutoff_ts"), F.col("event_ts"))
    return weight * F.pow(F.lit(0.5), age / half_life.total_seconds())


def _named(kind: int, name: Column, factor: Column) -> Column:
    return F.struct(
        F.lit(kind).cast("byte").alias("kind"), name.alias("name"), factor.alias("factor")
    )


def _strongest(kind: str, most: int) -> Column:
    ranked = F.slice(F.array_sort(kind), 1, most)
    return F.transform(
        ranked, lambda x: F.struct(x["name"].alias("name"), (-x["minus"]).alias("weight"))
    ).alias(kind)
