"""Declare tables: columns with types and comments, key, partitioning and Delta properties."""

from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError

STRING, DOUBLE, LONG, INT = T.StringType(), T.DoubleType(), T.LongType(), T.IntegerType()

TIMESTAMP, DATE, BOOLEAN = T.TimestampType(), T.DateType(), T.BooleanType()

STRINGS, INTS = T.ArrayType(STRING), T.ArrayType(INT)

COUNTS = T.MapType(STRING, LONG)


@dataclass(frozen=True)
class TableColumn:
    """One declared column; `comment` says what it holds, with its unit."""

    name: str
    type: T.DataType
    comment: str
    required: bool


def required(name: str, type: T.DataType, comment: str) -> TableColumn:
    """A column that is never null."""
    return TableColumn(name, type, comment, required=True)


def optional(name: str, type: T.DataType, comment: str) -> TableColumn:
    """A column that may be null: unknown, or not given by the source."""
    return TableColumn(name, type, comment, required=False)


@dataclass(frozen=True)
class Table:
    """A declared table: one row a `key`, files laid out by `partition_by`.

    `rebuild_instructions` is what to do where the table that lies at `{path}` cannot be brought to this shape.
    """

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    rebuild_instructions: str
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()  # rows near each other by these lie in the same files
    change_feed: bool = False  # each commit's changed rows can be read afterwards
    deletion_vectors: bool = False  # a changed row is marked in its file, which stays as it is

    @property
    def properties(self) -> dict[str, str]:
        """The Delta properties that the table is to have."""
        wanted = {
            "delta.enableChangeDataFeed": self.change_feed,
            "delta.enableDeletionVectors": self.deletion_vectors,
        }
        return {name: "true" for name, is_wanted in wanted.items() if is_wanted}

    @property
    def schema(self) -> T.StructType:
        """The Spark schema with comments; Delta refuses a null in a required column."""
        return T.StructType(
            [
                T.StructField(c.name, c.type, not c.required, {"comment": c.comment})
                for c in self.columns
            ]
        )

    def column_names(self) -> list[str]:
        """The column names in declared order."""
        return [c.name for c in self.columns]

    def conform(self, frame: DataFrame) -> DataFrame:
        """The frame with exactly the declared columns, in order.

        Raises InputError that names every missing, unexpected and wrongly typed column.
        """
        found = {f.name: f.dataType for f in frame.schema.fields}
        declared = {c.name: c.type for c in self.columns}
        problems = list(schema_differences(found, declared))
        if problems:
            raise InputError(f"{self.name}: {', '.join(problems)}")
        return frame.select(*self.column_names())


def schema_differences(
    found: dict[str, T.DataType], declared: dict[str, T.DataType]
) -> Iterator[str]:
    """What tells found columns from declared ones: missing, unexpected, of the wrong type."""
    if missing := [n for n in declared if n not in found]:
        yield f"missing {missing}"
    if unexpected := [n for n in found if n not in declared]:
        yield f"unexpected {unexpected}"
    wrong = [
        f"{n}: {found[n].simpleString()}, declared {declared[n].simpleString()}"
        for n in declared
        if n in found and found[n].simpleString() != declared[n].simpleString()
    ]
    if wrong:
        yield f"wrong type {wrong}"


REINGEST_INSTRUCTIONS = (
    "move {path} away, run python jobs/ingest_events.py --config FILE on all that ever came, then "
    "refresh_profiles with --rebuild"
)

RESEGMENT_INSTRUCTIONS = "move {path} away and run python jobs/segment_users.py --config FILE"


def rerun_instructions(job: str) -> str:
    return f"run python jobs/{job}.py --config FILE, which writes it anew"


def user_bucket(n_buckets: int) -> Column:
    """Column: the hash bucket of `user_id`, from 0 to `n_buckets` - 1."""
    return F.pmod(F.xxhash64("user_id"), F.lit(n_buckets)).cast("int")
