"""Register source formats by the names that mapping files use."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql.streaming import DataStreamReader

Reader = TypeVar("Reader", DataFrameReader, DataStreamReader)
ColumnTypes = Mapping[str, str]  # column → SQL type


class SourceFormat(ABC):
    """Read the files of one format."""

    read_errors: ClassVar[Mapping[str, str]] = {}  # part of an engine's error → what it means

    @abstractmethod
    def read(self, spark: SparkSession, path: str, column_types: ColumnTypes | None) -> DataFrame:
        """Read a file, folder or glob. A format without types returns strings.

        `column_types` are those that the mapping declares; a format that holds its own types
        ignores them. Raises InputError if the content is of another format.
        """

    def stream(
        self, spark: SparkSession, path: str, column_types: ColumnTypes | None
    ) -> DataFrame | None:
        """Read files as they arrive; None if the format has no stream."""
        return None


class SparkFormat(SourceFormat):
    """Read a format that Spark's own readers know."""

    @abstractmethod
    def configure(self, reader: Reader) -> Reader:
        """Set the reader's format and options."""

    def read(self, spark: SparkSession, path: str, column_types: ColumnTypes | None) -> DataFrame:
        """Read all files of `path`."""
        return self.configure(spark.read).load(path)

    def stream(
        self, spark: SparkSession, path: str, column_types: ColumnTypes | None
    ) -> DataFrame | None:
        """Read arriving files with the schema of those already there."""
        schema = self.read(spark, path, column_types).schema
        return self.configure(spark.readStream.schema(schema)).load(path)


FormatClass = TypeVar("FormatClass", bound=type[SourceFormat])
FORMATS: dict[str, SourceFormat] = {}


def source_format(name: str) -> Callable[[FormatClass], FormatClass]:
    """Register a class as the format that mapping files call `name`."""

    def register(format_class: FormatClass) -> FormatClass:
        if name in FORMATS:
            other = type(FORMATS[name]).__qualname__
            raise ValueError(
                f"source format {name!r}: {other} has this name already; wanted another"
            )
        FORMATS[name] = format_class()
        return format_class

    return register


def describe_unknown_format(name: str) -> str | None:
    """Return what is wrong with a name, or None if it is registered."""
    if name in FORMATS:
        return None
    nearest = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.5)
    hint = f", perhaps {nearest[0]!r}" if nearest else ""
    return f"no such format{hint}; wanted one of {', '.join(map(repr, sorted(FORMATS)))}"
