"""Define what a source format provides, and register formats by the names of mapping files."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.streaming import DataStreamReader

from profile_lib.errors import InputError
from profile_lib.events.files.names import match_name
from profile_lib.events.raw_ids import to_text
from profile_lib.registry import Registry
from profile_lib.spark.column_shapes import Shape, quote_name
from profile_lib.spark.frames import union_all

if TYPE_CHECKING:
    from profile_lib.events.mapping import InputSpec

Reader = TypeVar("Reader", DataFrameReader, DataStreamReader)

# Columns that each frame of raw rows has; the source has none with this prefix.
FILE = "__events_file"  # path of the file, or name of the topic
POSITION = "__events_position"  # long; orders the rows of a file
ARRIVAL = "__events_arrival"  # time at which the row is known to have arrived
ROW = "__events_row"  # text that is equal for equal rows
PROBLEM = "__events_problem"  # rule that the row breaks, such as not_json; null: readable
RAW_COLUMNS = (FILE, POSITION, ARRIVAL, ROW, PROBLEM)
RAW_SCHEMA = f"{FILE} string, {POSITION} long, {ARRIVAL} timestamp, {ROW} string, {PROBLEM} string"
GLOB_SIGNS = re.compile(r"[*?\[\]{}\\]")  # signs of Hadoop's globs


class Inspection(NamedTuple):
    """The columns of a file, and its layout.

    `names` are its columns. Files with equal `layout` can be read together by Spark's own reader.
    """

    names: Sequence[str]
    layout: str = ""


class SourceFormat(ABC):
    """Read the files of one format.

    To add a format, put a file with a subclass under `@source_format("its name")` into this
    package. An instance holds no state.
    """

    read_errors: ClassVar[Mapping[str, str]] = {}  # part of an engine's error → what it means
    is_table: ClassVar[bool] = False  # the path holds one table with versions, not files

    def inspect(self, path: str, spec: "InputSpec") -> Inspection:
        """Return the columns of a file; runs in a Python worker.

        Raises InputError if the content is of another format. A format that cannot tell returns
        no names.
        """
        return Inspection(())

    @abstractmethod
    def read(
        self, spark: SparkSession, files: DataFrame, spec: "InputSpec", columns: Shape
    ) -> DataFrame:
        """Read all rows of files into the wanted columns and RAW_COLUMNS.

        `files` has the columns path, modified_ts, names and layout. `columns` has a field per
        wanted column. A format without types returns strings, or the types of the shapes.
        """


class SparkFormat(SourceFormat):
    """Read a format that Spark's own readers know."""

    @abstractmethod
    def configure(self, reader: Reader) -> Reader:
        """Set the reader's format and options."""

    def read(
        self, spark: SparkSession, files: DataFrame, spec: "InputSpec", columns: Shape
    ) -> DataFrame:
        """Read the files by Spark, all that have one layout at a time."""
        paths: dict[str, list[str]] = {}
        for row in files.select("layout", "path").collect():
            paths.setdefault(row["layout"], []).append(row["path"])
        groups = [
            _select_wanted(self._load(spark, group, layout), columns)
            for layout, group in sorted(paths.items())
        ]
        return _union(groups) if groups else spark.createDataFrame([], RAW_SCHEMA)

    def _load(self, spark: SparkSession, paths: list[str], layout: str) -> DataFrame:
        escaped = [GLOB_SIGNS.sub(r"\\\g<0>", path) for path in paths]
        return self.load(self.configure(spark.read), escaped, layout)

    def load(self, reader: DataFrameReader, paths: list[str], layout: str) -> DataFrame:
        """Load files of one layout, with RAW_COLUMNS."""
        return add_raw_columns(reader.load(paths), F.monotonically_increasing_id())


def file_metadata(frame: DataFrame) -> Column:
    """Return Spark's column _metadata, even if the source has one."""
    return Column(frame._jdf.metadataColumn("_metadata"))  # Python has this since Spark 4.0


def add_raw_columns(frame: DataFrame, position: Column) -> DataFrame:
    """Add RAW_COLUMNS to a frame that Spark read from files."""
    metadata = file_metadata(frame)
    return add_place(frame, metadata["file_path"], position, metadata["file_modification_time"])


def add_place(frame: DataFrame, file: Column, position: Column, arrival: Column) -> DataFrame:
    """Add RAW_COLUMNS to a frame of typed columns, with this place and arrival."""
    columns = {name: F.col(quote_name(name)) for name in frame.columns}
    return frame.select(
        *columns.values(),
        file.alias(FILE),
        position.alias(POSITION),
        arrival.alias(ARRIVAL),
        row_text(columns).alias(ROW),
        F.lit(None).cast("string").alias(PROBLEM),
    )


def row_text(columns: Mapping[str, Column]) -> Column:
    """Return one text per row, whatever the order of columns and null ones."""
    return F.to_json(F.struct(*[columns[name] for name in sorted(columns)]))


def _select_wanted(frame: DataFrame, columns: Shape) -> DataFrame:
    """Select the wanted columns, in any case, and RAW_COLUMNS."""
    index = {name: match_name(name, frame.columns) for name in columns.fields}
    found = {name: frame.columns[i] for name, i in index.items() if i is not None}
    return frame.select(
        *[F.col(quote_name(column)).alias(name) for name, column in found.items()], *RAW_COLUMNS
    )


def _union(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of all frames; raise InputError if types differ.

    A number becomes a text if the column is a text in another frame.
    """
    fields = [field for frame in frames for field in frame.schema]
    texts = {field.name for field in fields if isinstance(field.dataType, T.StringType)}
    frames = [
        frame.withColumns(
            {
                field.name: to_text(F.col(quote_name(field.name)), field.dataType)
                for field in frame.schema
                if field.name in texts and isinstance(field.dataType, T.NumericType)
            }
        )
        for frame in frames
    ]
    try:
        return union_all(frames)
    except AnalysisException as error:
        types: dict[str, set[str]] = {}
        for field in (field for frame in frames for field in frame.schema):
            types.setdefault(field.name, set()).add(field.dataType.simpleString())
        differing = [
            f"{name} ({', '.join(sorted(found))})"
            for name, found in types.items()
            if len(found) > 1
        ]
        raise InputError(
            f"the files differ in the types of the columns {'; '.join(differing)}; wanted one type "
            "in all files: write them again, or give each type an input of its own"
        ) from error


def column_types(columns: Shape, spec: "InputSpec") -> dict[str, str]:
    """Return the SQL type of each wanted column, as declared or used."""
    return {
        name: spec.column_types.get(name) or shape.sql_type()
        for name, shape in columns.fields.items()
    }


FORMATS: Registry[type[SourceFormat]] = Registry("inputs.*.format", "profile_lib.events.formats")
source_format = FORMATS.register  # decorates the class that mapping files name
