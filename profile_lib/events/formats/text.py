"""Read text files in Python workers: one task per file, in Arrow batches."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, ClassVar

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from profile_lib.errors import InputError
from profile_lib.events.files.streams import open_bytes, to_utf8
from profile_lib.events.formats.registry import (
    ARRIVAL,
    FILE,
    POSITION,
    PROBLEM,
    ROW,
    SourceFormat,
)
from profile_lib.spark.column_shapes import Shape
from profile_lib.spark.frames import spread_rows

if TYPE_CHECKING:
    from profile_lib.events.mapping import InputSpec

MAX_TASKS = 1_000  # more files than this share tasks
ARROW_TIME = pa.timestamp("us", "UTC")


class TextRows:
    """Rows of one file: the wanted columns, and what identifies each row."""

    def __init__(
        self,
        columns: Sequence[pa.Array],
        positions: np.ndarray,
        rows: pa.Array,
        problems: pa.Array | None = None,
    ) -> None:
        self.columns, self.positions, self.rows = columns, positions, rows
        self.problems = pa.nulls(len(rows), pa.string()) if problems is None else problems


class TextFormat(SourceFormat):
    """Read text of any encoding and compression; all columns are strings."""

    unreadable: ClassVar[str] = "the content is not what the mapping's format says"

    @abstractmethod
    def columns(self, columns: Shape) -> list[str]:
        """Return the names of the string columns that `rows` yields."""

    @abstractmethod
    def rows(
        self, open_text: Callable[[], BinaryIO], spec: "InputSpec", columns: Sequence[str]
    ) -> Iterator[TextRows]:
        """Yield the rows of a file; `open_text` opens it as UTF-8 from its beginning."""

    @contextmanager
    def explain_content(self, path: str) -> Iterator[None]:
        """Replace Arrow's errors about content in the body by InputError."""
        try:
            yield
        except pa.ArrowInvalid as error:
            raise InputError(f"{path} cannot be read: {self.unreadable}") from error

    def read(
        self, spark: SparkSession, files: DataFrame, spec: "InputSpec", columns: Shape
    ) -> DataFrame:
        """Read the files, each in one task."""
        names = self.columns(columns)
        schema = T.StructType(
            [
                *(T.StructField(name, T.StringType()) for name in names),
                T.StructField(FILE, T.StringType()),
                T.StructField(POSITION, T.LongType()),
                T.StructField(ARRIVAL, T.TimestampType()),
                T.StructField(ROW, T.StringType()),
                T.StructField(PROBLEM, T.StringType()),
            ]
        )

        def read_files(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for file in batch.to_pylist():
                    yield from read_file(self, file["path"], file["modified_ts"], spec, names)

        listed = files.select("path", "modified_ts")
        by_task = spread_rows(listed, MAX_TASKS)
        return by_task.mapInArrow(read_files, schema)


def read_file(  # type: ignore[no-untyped-def]  # a time of Arrow
    format: TextFormat, path: str, modified_ts, spec: "InputSpec", names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in the schema of `TextFormat.read`.

    Raises InputError, which names the file, if its content cannot be read.
    """
    with ExitStack() as opened, format.explain_content(path):

        def open_text() -> BinaryIO:
            return to_utf8(opened.enter_context(open_bytes(path)), spec.encoding)

        for rows in format.rows(open_text, spec, names):
            yield _as_batch(rows, path, modified_ts, names)


def _as_batch(  # type: ignore[no-untyped-def]  # a time of Arrow
    rows: TextRows, path: str, modified_ts, names: Sequence[str]
) -> pa.RecordBatch:
    n = len(rows.rows)
    arrays = [
        *rows.columns,
        pa.array([path] * n, pa.string()),
        pa.array(rows.positions, pa.int64()),
        pa.array([modified_ts] * n, ARROW_TIME),
        rows.rows,
        rows.problems,
    ]
    return pa.RecordBatch.from_arrays(arrays, [*names, FILE, POSITION, ARRIVAL, ROW, PROBLEM])
