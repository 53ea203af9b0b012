"""Define how tables are declared: columns, comments, keys, partitions, Delta properties."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError

STRING, DOUBLE, LONG, INT = T.StringType(), T.DoubleType(), T.LongType(), T.IntegerType()
TIMESTAMP, DATE, BOOLEAN = T.TimestampType(), T.DateType(), T.BooleanType()
STRINGS, INTS = T.ArrayType(STRING), T.ArrayType(INT)
COUNTS = T.MapType(STRING, LONG)
# Facts by name: the time of the declaration, and the value; null: the fact was withdrawn.
FACTS = T.MapType(STRING, T.StructType().add("declared_ts", TIMESTAMP).add("value", STRING))

# The kinds of personal data that a column may hold.
PersonalData = Literal[
    "pseudonym",  # keyed hash of an id; jobs/rotate_pseudonyms.py renews it
    "composite pseudonym",  # a pseudonym, COMPOSITE_SEPARATOR and more
    "event row",  # a row of `events` as JSON, with its pseudonyms, texts and facts
    "raw id",  # an id as its source has it
    "text",  # what a person wrote, or words of it
    "fact",  # declared by a person, or found out about one; counts of events are not marked
]
COMPOSITE_SEPARATOR = "-"  # no pseudonym contains it
USER_BUCKET = "user_bucket"  # column that holds the `user_bucket` of the row's user

REINGEST_INSTRUCTIONS = (
    "move {path} away, run python jobs/ingest_events.py --config FILE on all inputs since the "
    "beginning, then python jobs/refresh_profiles.py --config FILE --rebuild"
)
RESEGMENT_INSTRUCTIONS = "move {path} away and run python jobs/segment_users.py --config FILE"


@dataclass(frozen=True)
class TableColumn:
    """One declared column; `comment` says what it holds, with its unit.

    `pii` is the kind of personal data in it; None: none of these kinds.
    """

    name: str
    type: T.DataType
    comment: str
    required: bool
    pii: PersonalData | None = None


def required(
    name: str, type: T.DataType, comment: str, pii: PersonalData | None = None
) -> TableColumn:
    """Declare a column that is never null."""
    return TableColumn(name, type, comment, required=True, pii=pii)


def optional(
    name: str, type: T.DataType, comment: str, pii: PersonalData | None = None
) -> TableColumn:
    """Declare a column that is null if the value is unknown."""
    return TableColumn(name, type, comment, required=False, pii=pii)


@dataclass(frozen=True)
class Table:
    """A declared table with one row per `key`.

    `rebuild_instructions` is for a stored table whose rows have to be computed again to get the
    declared columns: it says what to do, with `{path}` for the path of the table.
    """

    name: str
    comment: str
    key: tuple[str, ...]
    columns: Sequence[TableColumn]
    rebuild_instructions: str
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()  # compaction writes rows with close values into the same files
    change_feed: bool = False  # the rows that each commit changed can be read later
    deletion_vectors: bool = False  # a changed row is marked in its file, which is not rewritten
    root: Literal["tables", "identity"] = "tables"  # setting of `paths` that names its folder

    @property
    def properties(self) -> dict[str, str]:
        """The declared Delta properties.

        Rows of a partitioned table are shuffled before they are written, so that several tasks
        write a large partition, and one file holds the rows of a small one.
        """
        is_enabled = {
            "delta.enableChangeDataFeed": self.change_feed,
            "delta.enableDeletionVectors": self.deletion_vectors,
            "delta.autoOptimize.optimizeWrite": bool(self.partition_by),
        }
        return {name: "true" for name, enabled in is_enabled.items() if enabled}

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
        """Return the column names in declared order."""
        return [c.name for c in self.columns]

    def fill(self, frame: DataFrame) -> DataFrame:
        """Return the declared columns, in order; those that the frame lacks are null."""
        nulls = {
            c.name: F.lit(None).cast(c.type) for c in self.columns if c.name not in frame.columns
        }
        return frame.withColumns(nulls).select(*self.column_names())

    def conform(self, frame: DataFrame) -> DataFrame:
        """Return the frame with exactly the declared columns, in order.

        Raises InputError that names every missing or unexpected column and every wrong type.
        """
        actual = {f.name: f.dataType for f in frame.schema.fields}
        declared = {c.name: c.type for c in self.columns}
        problems = list(schema_differences(actual, declared))
        if problems:
            raise InputError(f"{self.name}: {', '.join(problems)}")
        return frame.select(*self.column_names())


def schema_differences(
    actual: dict[str, T.DataType], declared: dict[str, T.DataType]
) -> Iterator[str]:
    """Yield how columns differ from the declared ones: missing, unexpected, of the wrong type.

    >>> list(schema_differences({"n": INT, "x": INT}, {"n": LONG}))
    ["unexpected ['x']", "wrong type ['n: int, declared bigint']"]
    """
    if missing := [name for name in declared if name not in actual]:
        yield f"missing {missing}"
    if unexpected := [name for name in actual if name not in declared]:
        yield f"unexpected {unexpected}"
    wrong_types = [
        f"{name}: {actual[name].simpleString()}, declared {type.simpleString()}"
        for name, type in declared.items()
        if name in actual and actual[name].simpleString() != type.simpleString()
    ]
    if wrong_types:
        yield f"wrong type {wrong_types}"


def rerun_instructions(job: str) -> str:
    """Return the rebuild instructions of a table that one run of a job replaces completely."""
    return f"run python jobs/{job}.py --config FILE, which writes all of it again"


def user_bucket(n_buckets: int) -> Column:
    """Return the hash bucket of the column `user_id`, from 0 to `n_buckets` - 1."""
    return F.pmod(F.xxhash64("user_id"), F.lit(n_buckets)).cast("int")
