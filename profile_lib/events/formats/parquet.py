"""Read Parquet files."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_schema

from profile_lib.errors import InputError
from profile_lib.events.files.streams import open_bytes
from profile_lib.events.formats.registry import (
    Inspection,
    Reader,
    SparkFormat,
    add_raw_columns,
    file_metadata,
    source_format,
)
from profile_lib.spark.column_shapes import Shape, quote_name

if TYPE_CHECKING:
    from profile_lib.events.mapping import InputSpec

UNREAD_TYPES = ("Time", "Float16", "Interval")  # logical types
MAX_PRECISION = 38  # digits of a decimal number
UUID_PARTS = "^(.{8})(.{4})(.{4})(.{4})(.{12})$"  # of its 32 hexadecimal digits
READ_AS = {  # types of Arrow that Spark reads as a wider or simpler one
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20),
    pa.null(): pa.int32(),
}
MICROSECONDS = "timestamp_micros(({0} - pmod({0}, 1000)) div 1000)"  # from nanoseconds


@source_format("parquet")
class Parquet(SparkFormat):
    """Read columns with the types of the files.

    Nanoseconds become microseconds, and a UUID becomes its text.
    """

    def inspect(self, path: str, spec: "InputSpec") -> Inspection:
        """Return the columns, and as the layout the schema."""
        with open_bytes(path, unpack=False) as stream:
            file = _open_file(path, stream)
        schema = file.schema_arrow
        lower = [name.lower() for name in schema.names]
        if twice := [name for name in schema.names if lower.count(name.lower()) > 1]:
            raise InputError(
                f"{path}: the columns {', '.join(sorted(twice))} differ in case alone; wanted one "
                "spelling: rename or drop one of them"
            )
        uuids = [name for name, kind in _logical_types(file) if kind["Type"] == "UUID"]
        layout = {
            "nanoseconds": _find_nanoseconds(path, file),
            "uuids": uuids,
            # Spark finds no types in a file with a UUID.
            "types": _spark_types(schema).json() if uuids else None,
            "schema": schema.remove_metadata().to_string(),
        }
        return Inspection(schema.names, json.dumps(layout))

    def read(
        self, spark: SparkSession, files: DataFrame, spec: "InputSpec", columns: Shape
    ) -> DataFrame:
        """Read the files by Spark; raise InputError for a UUID inside a wanted column."""
        for path, layout in files.select("path", "layout").collect():
            for name in json.loads(layout)["uuids"]:
                column, _, part = name.partition(".")
                if part and column in columns.fields:
                    raise InputError(
                        f"{path}: the column {name} has the type UUID, which is not read inside "
                        "another column; write it as a text"
                    )
        return super().read(spark, files, spec, columns)

    def configure(self, reader: Reader) -> Reader:
        """Set the format; the files hold everything else."""
        return reader.format("parquet")

    def load(self, reader: DataFrameReader, paths: list[str], layout: str) -> DataFrame:
        """Load files of one schema; Spark reads nanoseconds as a number."""
        found = json.loads(layout)
        if found["types"] is not None:
            reader = reader.schema(T.StructType.fromJson(json.loads(found["types"])))
        loaded = reader.load(paths)
        frame = add_raw_columns(loaded, file_metadata(loaded)["row_index"])
        times = {
            name: F.expr(MICROSECONDS.format(quote_name(name))).cast(sql_type)
            for name, sql_type in found["nanoseconds"].items()
        }
        uuids = {name: _uuid_text(name) for name in found["uuids"] if name in loaded.columns}
        return frame.withColumns(times | uuids)


def _uuid_text(name: str) -> Column:
    digits = F.lower(F.hex(F.col(quote_name(name))))
    return F.regexp_replace(digits, UUID_PARTS, "$1-$2-$3-$4-$5")


def _open_file(path: str, stream: BinaryIO) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(stream)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise InputError(
            f"{path} cannot be read: the content is not Parquet, or it was cut off"
        ) from error


def _find_nanoseconds(path: str, file: pq.ParquetFile) -> dict[str, str]:
    """Return the SQL type of each column of nanoseconds: local times have no zone.

    Raises InputError if a column has a type that Spark does not read.
    """
    found = {}
    for name, kind in _logical_types(file):
        if kind["Type"] in UNREAD_TYPES or kind.get("precision", 0) > MAX_PRECISION:
            raise InputError(
                f"{path}: the column {name} has the type {kind['text']}, which is not read; write "
                "it as a text or a number, or drop it"
            )
        if kind.get("timeUnit") == "nanoseconds" and name in file.schema_arrow.names:
            found[name] = "timestamp" if kind["isAdjustedToUTC"] else "timestamp_ntz"
    return found


def _logical_types(file: pq.ParquetFile) -> Iterator[tuple[str, dict]]:
    """Yield the path and the logical type of each column, with its description as `text`."""
    for column in (file.schema.column(n) for n in range(len(file.schema))):
        kind = column.logical_type
        yield column.path, json.loads(kind.to_json()) | {"text": str(kind)}


def _spark_types(schema: pa.Schema) -> T.StructType:
    """Return the types with which Spark reads columns of these types of Arrow."""
    fields = [field.with_type(_read_type(field.type)) for field in schema]
    return from_arrow_schema(pa.schema(fields), prefer_timestamp_ntz=True)


def _read_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_read_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_read_type(kind.key_type), _read_type(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(_read_type(kind.value_type))
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.int64()
    return READ_AS.get(kind, kind)
