"""Create a declared table, or bring an existing one to the declared columns and properties."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError
from profile_lib.spark.column_shapes import quote_text
from profile_lib.tables import Table
from profile_lib.tables.table import TableColumn, schema_differences


@contextmanager
def prepare_table(
    spark: SparkSession, table: Table, path: str, may_replace: bool = False
) -> Iterator[bool]:
    """Prepare a table for the write in the body; yield whether it is new.

    A missing table is created; of several concurrent writers only one can do so. An existing table
    gets the optional columns and the properties that it lacks. If its columns still differ from the
    declared ones, it is replaced by an empty table if `may_replace` is true, and restored if the
    body fails. Otherwise InputError is raised.
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
    old_version = delta.history(1).collect()[0]["version"]
    _create(DeltaTable.replace(spark), table, path)
    try:
        yield False
    except BaseException:
        delta.restoreToVersion(old_version)
        raise


def _create(builder, table: Table, path: str) -> None:  # type: ignore[no-untyped-def]  # delta has no stubs here
    builder = builder.location(path).addColumns(table.schema).comment(table.comment)
    for name, value in table.properties.items():
        builder = builder.property(name, value)
    if table.partition_by:
        builder = builder.partitionedBy(*table.partition_by)
    builder.execute()


def _evolve_schema(spark: SparkSession, delta, table: Table, path: str) -> None:  # type: ignore[no-untyped-def]
    alter = f"ALTER TABLE delta.`{path}`"
    if missing := missing_optional_columns(table, path, delta.toDF().schema):
        spark.sql(f"{alter} ADD COLUMNS ({', '.join(map(_column_ddl, missing))})")
    properties = delta.detail().select("properties").collect()[0][0]
    if unset := {n: v for n, v in table.properties.items() if properties.get(n) != v}:
        assignments = ", ".join(f"'{name}' = '{value}'" for name, value in unset.items())
        spark.sql(f"{alter} SET TBLPROPERTIES ({assignments})")


def missing_optional_columns(table: Table, path: str, stored: T.StructType) -> list[TableColumn]:
    """Return the optional columns that the table stored at `path` lacks.

    Raises InputError if it lacks required columns, has columns of other types, or has a required
    column that is no longer declared.
    """
    missing = [c for c in table.columns if not c.required and c.name not in stored.names]
    declared = {c.name: c.type for c in table.columns if c not in missing}
    actual = {f.name: f.dataType for f in stored if f.name in declared or not f.nullable}
    if problems := list(schema_differences(actual, declared)):
        raise InputError(
            f"{table.name}: the table at {path} has an older schema: {', '.join(problems)}; "
            f"{table.rebuild_instructions.format(path=path)}"
        )
    return missing


def select_declared_columns(frame: DataFrame, table: Table, path: str, *more: str) -> DataFrame:
    """Select the declared columns, and those in `more`, of a table read at `path`.

    Optional columns that the frame lacks are null. Raises InputError as `missing_optional_columns`
    does.
    """
    missing = missing_optional_columns(table, path, frame.schema)
    nulls = {c.name: F.lit(None).cast(c.type) for c in missing}
    return frame.withColumns(nulls).select(*table.column_names(), *more)


def _column_ddl(column: TableColumn) -> str:
    return f"`{column.name}` {column.type.simpleString()} COMMENT {quote_text(column.comment)}"
