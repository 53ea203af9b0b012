"""Build the condition and the clauses of a MERGE."""

import math
from collections.abc import Mapping
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import Table

IS_DELETED = "is_deleted"  # boolean column of an upsert's source: True removes the row
MAX_PARTITION_LITERALS = 1_000  # a condition with more values would take Spark seconds to plan
MIN_BLOOM_FILTER_ROWS = 1_000  # minimum number of rows for which the Bloom filter pays off
BITS_PER_ROW = 32
WORD_SHIFT = 6
WORD_BITS = 2**WORD_SHIFT
MAX_WORDS = 8_192  # the commit log repeats the filter's words: 160 KB at most


def merge_condition(table: Table, source: DataFrame, n_rows: int) -> Column:
    """Return the condition under which rows of `source` and `target` match: equal keys.

    `n_rows` is the number of rows of `source`. The condition also compares the partition columns.
    If `source` has few partitions it lists their values, so that Delta reads no file of another
    partition and does not conflict with writers there. It includes the `bloom_filter` if that pays
    off.
    """
    conditions = [
        F.col(f"target.{c}") == F.col(f"source.{c}") for c in (*table.partition_by, *table.key)
    ]
    for name in table.partition_by:
        distinct = source.select(name).distinct().limit(MAX_PARTITION_LITERALS + 1).collect()
        values = [row[0] for row in distinct]
        if len(values) <= MAX_PARTITION_LITERALS:
            conditions.append(F.col(f"target.{name}").isin(values))
    if (may_match := bloom_filter(table, source, n_rows)) is not None:
        conditions.append(may_match)
    return reduce(and_, conditions)


def bloom_filter(table: Table, source: DataFrame, n_rows: int) -> Column | None:
    """Return a Bloom filter of the keys in `source`, as a condition on `target`.

    The condition is true for every key in `source` and for few others. MERGE inserts new rows, so
    its join keeps all rows of `source`, and Spark cannot skip rows of `target` by their keys: it
    shuffles them all, with all columns if there is a change feed. The filter keeps most of them out
    of the shuffle. It has one hash function (Bloom 1970) and 32 bits per row, or as many as fit,
    stored as 64-bit words in a literal. Returns None if `source` has too few rows for the filter to
    pay off or too many for it to hold, or if the table has no deletion vectors, because MERGE then
    reads all rows anyway to write their files again.
    """
    n_words = min(MAX_WORDS, 2 ** math.ceil(math.log2(max(n_rows * BITS_PER_ROW / WORD_BITS, 1))))
    if not table.deletion_vectors or not MIN_BLOOM_FILTER_ROWS <= n_rows <= n_words * WORD_BITS / 2:
        return None

    def word_and_bit(side: str) -> tuple[Column, Column]:
        keys = [F.col(f"{side}{c}") for c in table.key]
        bit_index = F.pmod(F.xxhash64(*keys), F.lit(n_words * WORD_BITS)).cast("int")
        return F.shiftright(bit_index, WORD_SHIFT), F.pmod(bit_index, F.lit(WORD_BITS))

    word, bit = word_and_bit("")
    bits = F.bit_or(F.call_function("shiftleft", F.lit(1).cast("bigint"), bit))
    rows = source.groupBy(word.alias("word")).agg(bits.alias("bits")).collect()
    bits_by_word = {row["word"]: row["bits"] for row in rows}
    words = F.lit(",".join(str(bits_by_word.get(number, 0)) for number in range(n_words)))
    word, bit = word_and_bit("target.")
    return F.bit_get(F.get(F.split(words, ",").cast("array<bigint>"), word), bit) == 1


def deletion_rows(table: Table, rows: DataFrame) -> DataFrame:
    """Return the source of an upsert that removes rows.

    `rows` holds the key and partition columns of the rows to remove; declared columns that it lacks
    become null.
    """
    return table.fill(rows).withColumn(IS_DELETED, F.lit(True))


def add_deletions(table: Table, rows: DataFrame, deleted: DataFrame) -> DataFrame:
    """Return the source of an upsert that writes `rows` and removes the rows of `deleted`.

    `deleted` holds the key and partition columns of the rows to remove.
    """
    upserted = rows.withColumn(IS_DELETED, F.lit(False))
    return upserted.unionByName(deletion_rows(table, deleted))


def with_merge_clauses(  # type: ignore[no-untyped-def]  # delta has no stubs here
    merge,
    table: Table,
    *,
    update: bool,
    has_deletions: bool,
    guard: str | None,
    update_values: Mapping[str, str | Column],
):
    """Return a DeltaMergeBuilder with the clauses for matched rows and for new rows added.

    The parameters are those of `Store.upsert`; `has_deletions` says that the source has the column
    IS_DELETED.
    """
    values = {c: f"source.{c}" for c in table.column_names()}
    if has_deletions:
        is_deleted = f"source.{IS_DELETED}"
        merge = merge.whenMatchedDelete(
            is_deleted if guard is None else f"{is_deleted} AND ({guard})"
        )
    if update:
        merge = merge.whenMatchedUpdate(guard, set=values | dict(update_values))
    is_inserted = f"NOT source.{IS_DELETED}" if has_deletions else None
    return merge.whenNotMatchedInsert(condition=is_inserted, values=values)
