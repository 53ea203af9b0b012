"""Map the columns of a source to the columns of `events`."""

from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.formats.json_lines import CORRUPT_RECORD
from profile_lib.events.mapping import Lookup, SourceMapping
from profile_lib.events.readers import read_input


def read_events(spark: SparkSession, mapping: SourceMapping, paths: Mapping[str, str]) -> DataFrame:
    """Read the input `events` and map its columns; `paths` has one path per input.

    Raises InputError as `map_events` does.
    """
    return map_events(read_input(spark, mapping, "events", paths["events"]), mapping, paths)


def map_events(frame: DataFrame, mapping: SourceMapping, paths: Mapping[str, str]) -> DataFrame:
    """Join the lookups to the events and compute the mapped columns.

    Raises InputError if a lookup lacks a column, or if an expression names an unknown one.
    """
    for lookup in mapping.lookups:
        frame = _join_lookup(frame, mapping, lookup, paths[lookup.input])
    return select_columns(frame, mapping.columns, f"{mapping.name}.columns", paths["events"])


def _join_lookup(frame: DataFrame, mapping: SourceMapping, lookup: Lookup, path: str) -> DataFrame:
    """Join the columns of a lookup, taken from any one row of each key."""
    columns = [*lookup.join_keys, *lookup.columns]
    lookup_rows = read_input(frame.sparkSession, mapping, lookup.input, path)
    if missing := [c for c in columns if c not in lookup_rows.columns]:
        raise InputError(
            f"{mapping.name}.lookups.{lookup.input}: no columns {', '.join(missing)}; "
            f"it has: {', '.join(lookup_rows.columns)}"
        )
    unique = lookup_rows.select(*columns).dropDuplicates(lookup.join_keys)
    return frame.join(unique, lookup.join_keys, "left")


def select_columns(
    frame: DataFrame, columns: Mapping[str, str], label: str, path: str
) -> DataFrame:
    """Compute columns, a map of names to SQL expressions.

    Raises InputError if an expression is invalid. Each is checked by itself, so that the error
    names the column, what its expression refers to, and the columns of the file. `label` is the
    part of the mapping that holds the expressions.
    """
    for name, expression in columns.items():
        try:
            frame.select(F.expr(expression))
        except AnalysisException as error:
            if error.getErrorClass() is None:
                raise
            existing = ", ".join(c for c in frame.columns if c != CORRUPT_RECORD)
            reason = str(error).splitlines()[0].split(" SQLSTATE")[0]
            raise InputError(f"{label}.{name}: {reason} {path} has: {existing}") from error
    return frame.select(*[F.expr(e).alias(n) for n, e in columns.items()])
