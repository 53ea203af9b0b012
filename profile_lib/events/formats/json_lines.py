"""Read JSON lines, and JSON values of messages."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.formats.registry import ColumnTypes, Reader, SparkFormat, source_format

CORRUPT_RECORD = "_corrupt_record"  # Spark's column of the lines that are not JSON


@source_format("jsonl")
class JsonLines(SparkFormat):
    """Read one JSON object per line; primitive values are strings."""

    def configure(self, reader: Reader) -> Reader:
        """Keep numbers and booleans as they are written."""
        return reader.option("primitivesAsString", True).format("json")

    def read(self, spark: SparkSession, path: str, column_types: ColumnTypes | None) -> DataFrame:
        """Read lines with the declared types, or else the inferred ones.

        Raises InputError if no line is JSON.
        """
        reader = spark.read.schema(json_schema(column_types)) if column_types else spark.read
        frame = self.configure(reader).load(path)
        if set(frame.columns) == {CORRUPT_RECORD}:
            raise InputError(
                f"{path}: no line is JSON; the mapping's format of this input is jsonl, JSON lines"
            )
        return frame

    def stream(
        self, spark: SparkSession, path: str, column_types: ColumnTypes | None
    ) -> DataFrame | None:
        """Read arriving lines; CORRUPT_RECORD holds those that are not JSON."""
        schema = self.read(spark, path, column_types).schema
        if CORRUPT_RECORD not in schema.names:
            schema = schema.add(CORRUPT_RECORD, "string")
        return self.configure(spark.readStream.schema(schema)).load(path)


def parse_json(text: Column, column_types: ColumnTypes) -> Column:
    """Parse JSON objects to structs of the declared columns and CORRUPT_RECORD."""
    options = {"columnNameOfCorruptRecord": CORRUPT_RECORD}
    return F.from_json(text, json_schema(column_types), options)


def json_schema(column_types: ColumnTypes) -> str:
    """Return the declared columns and CORRUPT_RECORD as a Spark SQL schema."""
    fields = {**column_types, CORRUPT_RECORD: "string"}
    return ", ".join(f"`{name}` {sql_type}" for name, sql_type in fields.items())
