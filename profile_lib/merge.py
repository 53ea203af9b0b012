"""A source frame in, the condition and the clauses of its MERGE out."""

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


def clauses(  # type: ignore[no-untyped-def]  # delta has no stubs here
    merge, table: Table, *, update: bool, deletes: bool, guard: str | None
):
    """`merge` with what becomes of rows that match, where `guard` holds, and of new ones."""
    values = {c: f"source.{c}" for c in table.names()}
    if deletes:
        goes = f"source.{IS_DELETED}" if guard is None else f"source.{IS_DELETED} AND ({guard})"
        merge = merge.whenMatchedDelete(goes)
    if update:
        merge = merge.whenMatchedUpdate(guard, set=values)
    stays = f"NOT source.{IS_DELETED}" if deletes else None
    return merge.whenNotMatchedInsert(condition=stays, values=values)
