"""List the files of an input, and learn their contents' hash and columns."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError
from profile_lib.events.files.streams import BLOCK_BYTES, open_bytes
from profile_lib.events.formats.registry import FORMATS, SourceFormat
from profile_lib.spark.frames import spread_rows

if TYPE_CHECKING:
    from profile_lib.events.mapping import InputSpec

BINARY_FILES = "path string, modificationTime timestamp, length long, content binary"
LISTED = T.StructType(
    [
        T.StructField("path", T.StringType()),
        T.StructField("modified_ts", T.TimestampType()),
        T.StructField("n_bytes", T.LongType()),
    ]
)
FOUND = {  # what inspection adds
    "content_hash": T.StringType(),
    "names": T.ArrayType(T.StringType()),
    "layout": T.StringType(),
    "problem": T.StringType(),
}
FOUND_TYPES = (pa.string(), pa.list_(pa.string()), pa.string(), pa.string())
INSPECTED = T.StructType([*LISTED.fields, *(T.StructField(n, t) for n, t in FOUND.items())])


def list_files(spark: SparkSession, path: str) -> DataFrame:
    """List all files of a path, folder or glob, whatever their folders are called.

    Columns: path, modified_ts and n_bytes, in the types of LISTED. Files whose names begin with a
    dot or an underscore are left out, as Spark does.
    """
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    return select_listed(reader.load(path))


def select_listed(files: DataFrame) -> DataFrame:
    """Select the columns of `list_files` from Spark's source of binary files."""
    return files.select(
        "path",
        F.col("modificationTime").alias("modified_ts"),
        F.col("length").alias("n_bytes"),
    )


def inspect_files(files: DataFrame, spec: "InputSpec") -> DataFrame:
    """Add the columns content_hash, names, layout and problem to listed files.

    Files are read in Python workers. `problem` says why a file cannot be read; null: it can.
    """

    source_format = FORMATS.get(spec.format)()  # of a notebook, maybe, so that no worker knows it

    def inspect_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = [inspect_file(path, spec, source_format) for path in batch["path"].to_pylist()]
            columns = [
                pa.array(values, type)
                for values, type in zip(zip(*found, strict=True), FOUND_TYPES, strict=True)
            ]
            names = [*batch.schema.names, *FOUND]
            yield pa.RecordBatch.from_arrays([*batch.columns, *columns], names)

    n_cores = files.sparkSession.sparkContext.defaultParallelism
    return spread_rows(files, n_cores).mapInArrow(inspect_batches, INSPECTED)


def inspect_file(
    path: str, spec: "InputSpec", source_format: SourceFormat
) -> tuple[str, list[str], str, str | None]:
    """Return the hash of a file's content, its columns, layout and problem."""
    try:
        digest = hash_content(path)
        names, layout = source_format.inspect(path, spec)
    except InputError as error:
        return "", [], "", str(error)
    return digest, list(names), layout, None


def hash_content(path: str) -> str:
    """Return the SHA-256 of a file's content, decompressed, in hex."""
    digest = hashlib.sha256()
    with open_bytes(path) as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
