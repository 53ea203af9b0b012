"""A catalogue before and now in, whose behaviour it tells otherwise out."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.told import item_facts, weigh_asked
from profile_lib.features.words import keywords


def users_of_changed_items(events: DataFrame, before: DataFrame, now: DataFrame) -> DataFrame:
    """user_id of all whose events are about an item, or ask for a word, that weighs or reads
    otherwise in the catalogue `now` than `before`; may name a user twice."""
    items = changed_rows(item_facts(before), item_facts(now), "item_id")
    said = events.where("query IS NOT NULL").select("query").distinct()
    words = said.select("query", F.explode(keywords(F.col("query"))).alias("asked"))
    asked = words.select("asked").distinct()
    weighed = changed_rows(weigh_asked(asked, before), weigh_asked(asked, now), "asked")
    queries = words.join(weighed, "asked", "left_semi").select("query")
    met = events.join(items, "item_id", "left_semi").select("user_id")
    return met.union(events.join(queries, "query", "left_semi").select("user_id"))


def changed_rows(before: DataFrame, now: DataFrame, key: str) -> DataFrame:
    """The keys of the rows that only one of both has, or that differ in any other column."""
    told = F.struct(*[name for name in now.columns if name != key])
    was, is_ = before.select(key, told.alias("was")), now.select(key, told.alias("is"))
    both = was.join(is_, key, "full_outer")
    return both.where(~F.col("was").eqNullSafe(F.col("is"))).select(key)
