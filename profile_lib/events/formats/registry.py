"""Define what a source format provides, and register formats by the names of mapping files."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql.streaming import DataStreamReader

from profile_lib.registry import Registry

Reader = TypeVar("Reader", DataFrameReader, DataStreamReader)
ColumnTypes = Mapping[str, str]  # column → SQL type


class SourceFormat(ABC):
    """Read the files of one format.

    To add a format, put a file with a subclass under `@source_format("its name")` into this
    package. An instance holds no state.
    """

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


FORMATS: Registry[type[SourceFormat]] = Registry("inputs.*.format", "profile_lib.events.formats")
source_format = FORMATS.register  # decorates the class that mapping files name
