"""Read JSON: one object per line, or one array of objects per file."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.files.names import spellings
from profile_lib.events.files.streams import BLOCK_BYTES, open_bytes, read_blocks, to_utf8
from profile_lib.events.formats.registry import (
    POSITION,
    PROBLEM,
    RAW_COLUMNS,
    ROW,
    Inspection,
    column_types,
    source_format,
)
from profile_lib.events.formats.text import TextFormat, TextRows
from profile_lib.spark.column_shapes import Shape, quote_name

if TYPE_CHECKING:
    from profile_lib.events.mapping import InputSpec

NOT_JSON = "not_json"
KEY = re.compile(rb'"((?:[^"\\]|\\.){1,200})"\s*:')
OBJECT = re.compile(rb"^\s*[{\[]", re.MULTILINE)
MAX_KEYS = 10_000  # names of a file that are collected
MAX_ELEMENTS = 2**20  # of an array, if a file has an array per line
PARSED = "_parsed"
ARRAYS = "array<array<string>>"


@source_format("jsonl")
class JsonLines(TextFormat):
    """Read JSON objects; primitive values are strings."""

    unreadable = "its array of objects is larger than 2 GB; wanted one object per line"

    def inspect(self, path: str, spec: "InputSpec") -> Inspection:
        """Return the keys in the first block of the file, whatever their depth."""
        with open_bytes(path) as stream:
            text = to_utf8(stream, spec.encoding)
            start = text.read(BLOCK_BYTES)
            if start.strip() and OBJECT.search(start) is None:
                raise InputError(
                    f"{path}: the content is not JSON; the mapping's format of this input is jsonl"
                )
            if _is_array(start) and not _last_bytes(start, text).endswith(b"]"):
                raise InputError(
                    f"{path} cannot be read: the array of its objects has no end, so the file was "
                    "cut off while it was written or copied; copy it again"
                )
        keys = {match[1].decode(errors="replace") for match in KEY.finditer(start)}
        return Inspection(sorted(keys)[:MAX_KEYS])

    def columns(self, columns: Shape) -> list[str]:
        """Return nothing: Spark parses the text of each row."""
        return []

    def rows(
        self, open_text: Callable[[], BinaryIO], spec: "InputSpec", columns: Sequence[str]
    ) -> Iterator[TextRows]:
        """Yield the lines that are not empty; a file with an array is one row."""
        stream = open_text()
        start = stream.read(BLOCK_BYTES)
        if _is_array(start):
            text = start + stream.read()
            yield TextRows([], np.zeros(1, np.int64), pa.array([text.decode()], pa.string()))
            return
        n_rows, rest, block = 0, b"", start
        while block or rest:
            *lines, rest = (rest + block).split(b"\n") if block else (rest, b"")
            texts = [text for line in lines if (text := line.strip())]
            rows = pa.array(texts, pa.binary()).cast(pa.string())
            yield TextRows([], np.arange(n_rows, n_rows + len(texts)), rows)
            n_rows += len(texts)
            block = stream.read(BLOCK_BYTES)

    def read(
        self, spark: SparkSession, files: DataFrame, spec: "InputSpec", columns: Shape
    ) -> DataFrame:
        """Read the objects of all files, and their wanted keys in any case."""
        lines = super().read(spark, files, spec, columns)
        types = column_types(columns, spec)
        names = files.select(F.explode("names").alias("name")).distinct()
        is_like_wanted = F.lower("name").isin(*[name.lower() for name in types])
        keys = [name for (name,) in names.where(is_like_wanted).collect()]
        return parse_json(_unfold_arrays(lines), types, keys)


def _is_array(start: bytes) -> bool:
    """Return whether a file is one array, not one value per line."""
    first, _, others = start.lstrip().partition(b"\n")
    return first.startswith(b"[") and not (first.rstrip().endswith(b"]") and others.strip())


def _last_bytes(start: bytes, stream: BinaryIO) -> bytes:
    """Return the last block of a text without the white space at its end."""
    last = start
    for block in read_blocks(stream):
        last = block if block.strip() else last
    return last.rstrip()


def parse_json(lines: DataFrame, types: Mapping[str, str], keys: Sequence[str]) -> DataFrame:
    """Parse the JSON objects in the column ROW to columns of these SQL types.

    A key that `keys` holds in another case is read as well. A value of another type than its
    column's is null. A row that is not exactly one JSON object has the problem NOT_JSON.
    """
    wanted = {
        name: [name, *(key for key in spellings(name, keys) if key not in types)] for name in types
    }
    fields = {spelling: types[name] for name, names in wanted.items() for spelling in names}
    schema = ", ".join(f"{quote_name(key)}: {sql_type}" for key, sql_type in fields.items())
    array = F.from_json(_in_array(F.col(ROW)), f"array<struct<{schema}>>")
    # Steps of their own, so that Spark parses each row once.
    rows = lines.withColumn(PARSED, array)
    rows = rows.withColumn(PARSED, F.when(F.size(PARSED) == 1, F.get(PARSED, F.lit(0))))
    problem = F.when(F.col(PARSED).isNull(), NOT_JSON)
    return rows.select(
        *[_first_value(names).alias(name) for name, names in wanted.items()],
        *[c for c in RAW_COLUMNS if c != PROBLEM],
        F.coalesce(PROBLEM, problem).alias(PROBLEM),
    )


def _in_array(text: Column) -> Column:
    """Return a JSON array of one element, in which a second value is an error."""
    return F.concat(F.lit("["), text, F.lit("]"))


def _first_value(names: Sequence[str]) -> Column:
    return F.coalesce(*[F.col(f"{PARSED}.{quote_name(name)}") for name in names])


def _unfold_arrays(lines: DataFrame) -> DataFrame:
    """Make a row per object of each row that is an array of objects."""
    text = F.when(F.col(ROW).rlike(r"^\s*\["), _in_array(F.col(ROW)))
    lines = lines.withColumn("_elements", F.get(F.from_json(text, ARRAYS), F.lit(0)))
    rows = F.posexplode(F.coalesce("_elements", F.array(ROW))).alias("_index", "_element")
    in_array = F.col(POSITION) * MAX_ELEMENTS + F.col("_index")
    position = F.when(F.col("_elements").isNull(), F.col(POSITION)).otherwise(in_array)
    others = [c for c in RAW_COLUMNS if c not in (POSITION, ROW)]
    return lines.select("*", rows).select(
        *others, position.alias(POSITION), F.col("_element").alias(ROW)
    )
