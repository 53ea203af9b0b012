"""Find the users whose behaviour a change of the catalog affects."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.catalog_words import (
    explode_keywords,
    project_catalog,
    weigh_query_words,
)


def find_users_of_changed_items(events: DataFrame, before: DataFrame, now: DataFrame) -> DataFrame:
    """Find the users whose behaviour differs between the catalogs `before` and `now`.

    They have an event about a changed item, or searched for a word whose weight or form changed.
    Returns (user_id); a user may occur several times.
    """
    old, new = project_catalog(before), project_catalog(now)
    items = find_changed_keys(old.items, new.items, "item_id")
    queries = events.where("query IS NOT NULL").select("query").distinct()
    words = queries.select("query", explode_keywords(F.col("query")))
    query_words = words.select("query_word").distinct()
    changed_words = find_changed_keys(
        weigh_query_words(query_words, old), weigh_query_words(query_words, new), "query_word"
    )
    changed_queries = words.join(changed_words, "query_word", "left_semi").select("query")
    by_item = events.join(items, "item_id", "left_semi").select("user_id")
    by_query = events.join(changed_queries, "query", "left_semi").select("user_id")
    return by_item.union(by_query)


def find_changed_keys(before: DataFrame, now: DataFrame, key: str) -> DataFrame:
    """Return the keys of the rows that were added, removed or changed."""
    values = F.struct(*[name for name in now.columns if name != key])
    old, new = before.select(key, values.alias("old")), now.select(key, values.alias("new"))
    joined = old.join(new, key, "full_outer")
    return joined.where(~F.col("old").eqNullSafe(F.col("new"))).select(key)
