"""A source frame in, the condition and the clauses of its MERGE out."""

import math
from collections.abc import Mapping
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import Table

IS_DELETED = "is_deleted"  # a boolean column of an upsert's source: True takes the row out
MAX_PARTITION_LITERALS = (
    1_000  # as many partitions are named in a condition: planning it stays a matter of moments
)
MIN_BLOOM_FILTER_ROWS = 1_000  # as many rows are worth a sieve
WORD_SHIFT, BITS_PER_ROW = 6, 32
WORD_BITS = 2**WORD_SHIFT  # bits
MAX_WORDS = 8_192  # of a sieve; they stand in the commit's account of itself, 160 KB at most


def merge_condition(table: Table, source: DataFrame, n_rows: int) -> Column:
    """The condition that a row of `source`, which has `n_rows`, and one of `target` are the same.

    By key. The partition columns stand in it, and the source's values of each as literals, where
    they are few: Delta then reads no file of another partition, nor minds who else writes there.
    So does a `bloom_filter`, where it saves something.
    """
    holds = [
        F.col(f"target.{c}") == F.col(f"source.{c}") for c in (*table.partition_by, *table.key)
    ]
    for name in table.partition_by:
        values = [
            row[0]
            for row in source.select(name).distinct().limit(MAX_PARTITION_LITERALS + 1).collect()
        ]
        if len(values) <= MAX_PARTITION_LITERALS:
            holds.append(F.col(f"target.{name}").isin(values))
    if (few_others := bloom_filter(table, source, n_rows)) is not None:
        holds.append(few_others)
    return reduce(and_, holds)


def bloom_filter(table: Table, source: DataFrame, n_rows: int) -> Column | None:
    """A condition on `target` that holds for every key in `source` and for few others.

    MERGE keeps all of its source in the join, new rows too, so Spark shuffles the target: whole
    rows of every file where there is a change feed. What this holds back is not shuffled. It is a
    Bloom filter of one hash (Bloom 1970) in words of a literal array, 32 bits a row or what there
    is room for. None where `n_rows` are too few to be worth it or too many to be held apart, or
    where MERGE reads all rows anyway to write them again.
    """
    n_words = min(MAX_WORDS, 2 ** math.ceil(math.log2(max(n_rows * BITS_PER_ROW / WORD_BITS, 1))))
    if not table.deletion_vectors or not MIN_BLOOM_FILTER_ROWS <= n_rows <= n_words * WORD_BITS / 2:
        return None

    def place(side: str) -> tuple[Column, Column]:  # a word, and a bit of it
        keys = [F.col(f"{side}{c}") for c in table.key]
        number = F.pmod(F.xxhash64(*keys), F.lit(n_words * WORD_BITS)).cast("int")
        return F.shiftright(number, WORD_SHIFT), F.pmod(number, F.lit(WORD_BITS))

    word, bit = place("")
    marks = F.bit_or(F.call_function("shiftleft", F.lit(1).cast("bigint"), bit))
    found = source.groupBy(word.alias("word")).agg(marks.alias("marks")).collect()
    words = {row["word"]: row["marks"] for row in found}
    told = F.lit(",".join(str(words.get(number, 0)) for number in range(n_words)))
    word, bit = place("target.")
    return F.bit_get(F.get(F.split(told, ",").cast("array<bigint>"), word), bit) == 1


def deletion_rows(table: Table, rows: DataFrame) -> DataFrame:
    """The source of an upsert that takes out rows that hold the table's keys and partitions.

    What else the rows do not hold of the table's columns is null.
    """
    nulls = {c.name: F.lit(None).cast(c.type) for c in table.columns if c.name not in rows.columns}
    return rows.withColumns(nulls).select(*table.column_names(), F.lit(True).alias(IS_DELETED))


def add_deletions(table: Table, rows: DataFrame, gone: DataFrame) -> DataFrame:
    """Return the source of an upsert that writes `rows` and deletes the rows with `gone`'s keys."""
    kept = rows.withColumn(IS_DELETED, F.lit(False))
    return kept.unionByName(deletion_rows(table, gone))


def with_merge_clauses(  # type: ignore[no-untyped-def]  # delta has no stubs here
    merge,
    table: Table,
    *,
    update: bool,
    has_deletions: bool,
    guard: str | None,
    keep_target_when: Mapping[str, str],
):
    """`merge` with what becomes of rows that match, where `guard` holds, and of new ones."""
    values = {c: f"source.{c}" for c in table.column_names()}
    kept = {
        c: f"CASE WHEN {when} THEN target.{c} ELSE source.{c} END"
        for c, when in keep_target_when.items()
    }
    if has_deletions:
        goes = f"source.{IS_DELETED}" if guard is None else f"source.{IS_DELETED} AND ({guard})"
        merge = merge.whenMatchedDelete(goes)
    if update:
        merge = merge.whenMatchedUpdate(guard, set=values | kept)
    stays = f"NOT source.{IS_DELETED}" if has_deletions else None
    return merge.whenNotMatchedInsert(condition=stays, values=values)
