"""A catalogue before and now in, whose behaviour it tells otherwise out."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.event_projection import project_items, weigh_query_words
from profile_lib.features.keywords import extract_keywords


def find_users_of_changed_items(events: DataFrame, before: DataFrame, now: DataFrame) -> DataFrame:
    """user_id of all whose events are about an item, or ask for a word, that weighs or reads
    otherwise in the catalogue `now` than `before`; may name a user twice."""
    items = find_changed_keys(project_items(before), project_items(now), "item_id")
    said = events.where("query IS NOT NULL").select("query").distinct()
    words = said.select("query", F.explode(extract_keywords(F.col("query"))).alias("query_word"))
    query_words = words.select("query_word").distinct()
    weighed = find_changed_keys(
        weigh_query_words(query_words, before), weigh_query_words(query_words, now), "query_word"
    )
    queries = words.join(weighed, "query_word", "left_semi").select("query")
    interacted = events.join(items, "item_id", "left_semi").select("user_id")
    return interacted.union(events.join(queries, "query", "left_semi").select("user_id"))


def find_changed_keys(before: DataFrame, now: DataFrame, key: str) -> DataFrame:
    """The keys of the rows that only one of both has, or that differ in any other column."""
    told = F.struct(*[name for name in now.columns if name != key])
    was, is_ = before.select(key, told.alias("was")), now.select(key, told.alias("is"))
    both = was.join(is_, key, "full_outer")
    return both.where(~F.col("was").eqNullSafe(F.col("is"))).select(key)
