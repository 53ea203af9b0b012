"""Merge declared facts: the latest one wins, in any order of batches.

A fact is a struct (declared_ts, value). Spark compares structs field by field and takes null for
the smallest value. The greatest of several facts is therefore the latest one, and of those with one
time the one with the greatest value. The greatest does not depend on order or repetition, so maps
of facts can be merged at any time (a last-writer-wins register, Shapiro et al. 2011). A null value
withdraws the fact. It is kept, so that an older declaration that arrives later does not come back.
"""

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from profile_lib.events.raw_ids import trim_text
from profile_lib.tables.table import FACTS


def aggregate_facts(
    declared_ts: Column, values: Mapping[str, Column], is_partial: bool = False
) -> Column:
    """Aggregate the rows of a group to the latest fact of each name.

    `values` holds the value of each fact by name; a blank text counts as null. If rows are partial,
    a null says nothing.
    """
    pairs: list[Column] = []
    for name, value in values.items():
        text = trim_text(value.cast("string"))
        fact = F.struct(declared_ts.alias("declared_ts"), F.when(text != "", text).alias("value"))
        pairs += [F.lit(name), F.max(F.when(text != "", fact) if is_partial else fact)]
    facts = F.create_map(*pairs).cast(FACTS)
    return _sort_map(F.map_filter(facts, lambda _, fact: fact.isNotNull()))


def merge_facts(facts: Column, others: Column) -> Column:
    """Merge two maps of facts by name; null counts as a map without facts.

    >>> rows = [({"age": (None, "old"), "sex": (None, "f")}, {"age": (None, "new")})]
    >>> facts = "map<string,struct<declared_ts:timestamp,value:string>>"
    >>> frame = spark.createDataFrame(rows, f"a {facts}, b {facts}")
    >>> merged = frame.select(merge_facts(F.col("a"), F.col("b")).alias("m")).first()["m"]
    >>> {name: fact["value"] for name, fact in merged.items()}
    {'age': 'old', 'sex': 'f'}
    """
    merged = F.map_zip_with(
        facts_or_empty(facts), facts_or_empty(others), lambda _, x, y: F.greatest(x, y)
    )
    return _sort_map(merged)


def facts_or_empty(facts: Column | None = None) -> Column:
    """Return the facts, or a map without facts in place of null."""
    none = F.create_map().cast(FACTS)
    return none if facts is None else F.coalesce(facts, none)


def _sort_map(values: Column) -> Column:
    """Sort a map by its keys, so that equal maps are stored equally."""
    return F.map_from_entries(F.array_sort(F.map_entries(values)))
