"""A declared table and what lies in its place: created, mended in place, or refused.

Knows how a Delta table gets the declared shape, not what is read from it or written into it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError
from profile_lib.tables import Table
from profile_lib.tables.table import TableColumn, schema_differences


@contextmanager
def prepare_table(
    spark: SparkSession, table: Table, path: str, may_replace: bool = False
) -> Iterator[bool]:
    """At `path` a table of the declared shape, for a write in the body; whether it is a new one.

    It is created, by one of those who try at once, or gets the optional columns and the properties
    that it lacks. One that this does not mend is made anew with `may_replace`, and is the old one
    again where the body fails.
    Raises InputError where it is neither.
    """
    from delta.tables import DeltaTable

    if not DeltaTable.isDeltaTable(spark, path):
        _create(DeltaTable.create(spark), table, path)
        yield True
        return
    delta = DeltaTable.forPath(spark, path)
    try:
        _evolve_schema(spark, delta, table, path)
    except InputError:
        if not may_replace:
            raise
    else:
        yield False
        return
    before = delta.history(1).collect()[0]["version"]
    _create(DeltaTable.replace(spark), table, path)
    try:
        yield False
    except BaseException:
        delta.restoreToVersion(before)
        raise


def _create(builder, table: Table, path: str) -> None:  # type: ignore[no-untyped-def]  # delta has no stubs here
    builder = builder.location(path).addColumns(table.schema).comment(table.comment)
    for name, value in table.properties.items():
        builder = builder.property(name, value)
    if table.partition_by:
        builder = builder.partitionedBy(*table.partition_by)
    builder.execute()


def _evolve_schema(spark: SparkSession, delta, table: Table, path: str) -> None:  # type: ignore[no-untyped-def]
    place = f"ALTER TABLE delta.`{path}`"
    if lacking := missing_optional_columns(table, path, delta.toDF().schema):
        spark.sql(f"{place} ADD COLUMNS ({', '.join(map(_column_ddl, lacking))})")
    has = delta.detail().select("properties").collect()[0][0]
    if unset := {n: v for n, v in table.properties.items() if has.get(n) != v}:
        told = ", ".join(f"'{name}' = '{value}'" for name, value in unset.items())
        spark.sql(f"{place} SET TBLPROPERTIES ({told})")


def missing_optional_columns(table: Table, path: str, found: T.StructType) -> list[TableColumn]:
    """The declared columns that the table at `path` lacks, all of them optional.

    Raises InputError where it lacks required ones, has columns of other types, or wants values
    for a column that is not declared any more.
    """
    lacking = [c for c in table.columns if not c.required and c.name not in found.names]
    ours = {c.name: c.type for c in table.columns if c not in lacking}
    theirs = {f.name: f.dataType for f in found if f.name in ours or not f.nullable}
    if problems := list(schema_differences(theirs, ours)):
        raise InputError(
            f"{table.name}: the table at {path} has an older shape: {', '.join(problems)}; "
            f"{table.rebuild_instructions.format(path=path)}"
        )
    return lacking


def select_declared_columns(frame: DataFrame, table: Table, path: str, *more: str) -> DataFrame:
    """The declared columns of a frame read at `path`, null where it lacks them, and `more`.

    Raises InputError as `missing_optional_columns` does.
    """
    nulls = {
        c.name: F.lit(None).cast(c.type)
        for c in missing_optional_columns(table, path, frame.schema)
    }
    return frame.withColumns(nulls).select(*table.column_names(), *more)


def _column_ddl(column: TableColumn) -> str:
    comment = column.comment.replace("\\", "\\\\").replace("'", "\\'")
    return f"`{column.name}` {column.type.simpleString()} COMMENT '{comment}'"
