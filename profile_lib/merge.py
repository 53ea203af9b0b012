"""A source frame in, the condition and the clauses of its MERGE out."""

from collections.abc import Mapping
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import Table

IS_DELETED = "is_deleted"  # a boolean column of an upsert's source: True takes the row out
FEW = 1_000  # as many partitions are named in a condition; planning it stays a matter of moments


def matching(table: Table, source: DataFrame) -> Column:
    """The condition that a row of `source` and one of `target` are the same: by key.

    The partition columns stand in it, and the source's values of each as literals, where they are
    few: Delta then reads no file of another partition, nor minds who else writes there.
    """
    equal = [
        F.col(f"target.{c}") == F.col(f"source.{c}") for c in (*table.partition_by, *table.key)
    ]
    for name in table.partition_by:
        values = [row[0] for row in source.select(name).distinct().limit(FEW + 1).collect()]
        if len(values) <= FEW:
            equal.append(F.col(f"target.{name}").isin(values))
    return reduce(and_, equal)


def deletions(table: Table, rows: DataFrame) -> DataFrame:
    """The source of an upsert that takes out rows that hold the table's keys and partitions.

    What else the rows do not hold of the table's columns is null.
    """
    nulls = {c.name: F.lit(None).cast(c.type) for c in table.columns if c.name not in rows.columns}
    return rows.withColumns(nulls).select(*table.names(), F.lit(True).alias(IS_DELETED))


def clauses(  # type: ignore[no-untyped-def]  # delta has no stubs here
    merge,
    table: Table,
    *,
    update: bool,
    deletes: bool,
    guard: str | None,
    keep: Mapping[str, str],
):
    """`merge` with what becomes of rows that match, where `guard` holds, and of new ones."""
    values = {c: f"source.{c}" for c in table.names()}
    kept = {c: f"CASE WHEN {when} THEN target.{c} ELSE source.{c} END" for c, when in keep.items()}
    if deletes:
        goes = f"source.{IS_DELETED}" if guard is None else f"source.{IS_DELETED} AND ({guard})"
        merge = merge.whenMatchedDelete(goes)
    if update:
        merge = merge.whenMatchedUpdate(guard, set=values | kept)
    stays = f"NOT source.{IS_DELETED}" if deletes else None
    return merge.whenNotMatchedInsert(condition=stays, values=values)
