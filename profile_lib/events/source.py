"""A mapping file and paths in, frames in the contract's words out; knows no source by name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from py4j.protocol import Py4JError
from pydantic import BaseModel, ConfigDict, ValidationError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.streaming import DataStreamReader

from profile_lib.errors import InputError, wrong_keys

Reader = TypeVar("Reader", DataFrameReader, DataStreamReader)
CORRUPT = "_corrupt_record"
UNREADABLE = {  # what the JVM says → what it means
    "EOFException": "the file ends too early: it was cut off while it was written or copied",
    "Unexpected end of": "the file ends too early: it was cut off while it was written or copied",
    "not a gzip file": "the name says gzip, the content is not",
    "incorrect header check": "the name says compressed, the content is not",
    "is not a Parquet file": "the content is not Parquet",
    "not a Parquet file": "the content is not Parquet",
    "CANNOT_READ_FILE_FOOTER": "the content is not Parquet",
    "FAILED_READ_FILE": "the content is not what the mapping's format says",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Part):
    """A file, folder or glob of one format."""

    format: Literal["csv", "jsonl", "parquet", "delta"]
    where: str | None = None  # rows that are no events of ours: left out on purpose
    columns: dict[str, str] | None = None  # of nested JSON lines: name → type, instead of a look


class Lookup(_Part):
    """An input whose columns are joined to the events."""

    input: str
    by: list[str]
    columns: list[str]


class Items(_Part):
    """A catalogue that the source gives: columns as SQL over the input."""

    input: str
    item_id: str
    title: str
    category: str
    brand: str
    price: str | None = None


class Users(_Part):
    """What the source declares of users: columns as SQL over the input."""

    input: str
    user_id: str
    age_band: str | None = None
    gender: str | None = None
    region: str | None = None
    attributes: dict[str, str] = {}


class SourceMapping(_Part):
    """How a source's columns and words become the contract's."""

    name: str
    inputs: dict[str, Input]
    lookups: list[Lookup] = []
    columns: dict[str, str]  # contract column, title, category or brand → SQL over the source
    kinds: dict[str, str | None]  # the source's word → ours; null: left out on purpose
    items: Items | None = None  # absent: derived from the events
    users: Users | None = None


def read_mapping(path: str) -> SourceMapping:
    """The mapping in a file. Raises InputError that names every wrong key."""
    if not Path(path).is_file():
        raise InputError(f"ingest.mapping: no file {path}; see conf/sources/ for those at hand")
    try:
        return SourceMapping.model_validate(yaml.safe_load(Path(path).read_text("utf-8")))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        raise InputError(f"{path}: {wrong_keys(error)}") from error


def read_input(spark: SparkSession, mapping: SourceMapping, name: str, path: str) -> DataFrame:
    """One input as it is: text columns from CSV and JSON lines, typed ones from the others."""
    given = mapping.inputs[name]
    reader = spark.read
    if given.format == "jsonl" and given.columns:
        reader = reader.schema(_declared(given.columns))
    with readable(f"{mapping.name}.{name}", path):
        frame = _reader(reader, given).load(path)
        if given.format == "jsonl" and set(frame.columns) == {CORRUPT}:
            raise InputError(f"{path}: no line is JSON; the mapping says {name} is JSON lines")
        return _wanted(frame, given)


def _wanted(frame: DataFrame, given: Input) -> DataFrame:
    return frame if given.where is None else frame.where(given.where)


def _reader(reader: Reader, given: Input) -> Reader:
    if given.format == "jsonl":
        reader = reader.option("primitivesAsString", True)
    if given.format == "csv":
        reader = reader.option("header", True).option("escape", '"')
    return reader.format({"jsonl": "json"}.get(given.format, given.format))


def _declared(columns: Mapping[str, str]) -> str:
    fields = {**columns, CORRUPT: "string"}
    return ", ".join(f"`{n}` {t}" for n, t in fields.items())


def stream_input(
    spark: SparkSession, mapping: SourceMapping, path: str, kafka: Mapping[str, str] | None
) -> DataFrame:
    """The events input as it arrives: files that are new in `path`, or the JSON values of a Kafka
    topic, as Spark's options in `kafka` name it.

    Raises InputError where the values' columns are not given by the mapping.
    """
    given = mapping.inputs["events"]
    if kafka is None:
        schema = read_input(spark, mapping, "events", path).schema
        if given.format == "jsonl" and CORRUPT not in schema.names:
            schema = T.StructType([*schema, T.StructField(CORRUPT, T.StringType())])
        return _wanted(_reader(spark.readStream.schema(schema), given).load(path), given)
    if not given.columns:
        raise InputError(
            f"{mapping.name}.inputs.events: no columns; the values of a Kafka topic are read by "
            "those that the mapping gives: columns: {name: type}"
        )
    messages = spark.readStream.format("kafka").options(**kafka).load()
    options = {"columnNameOfCorruptRecord": CORRUPT}
    value = F.from_json(F.col("value").cast("string"), _declared(given.columns), options)
    return _wanted(messages.select(value.alias("value")).select("value.*"), given)


def read_events(spark: SparkSession, mapping: SourceMapping, paths: Mapping[str, str]) -> DataFrame:
    """All that the events input holds, as `map_events` puts it."""
    return map_events(read_input(spark, mapping, "events", paths["events"]), mapping, paths)


def map_events(frame: DataFrame, mapping: SourceMapping, paths: Mapping[str, str]) -> DataFrame:
    """The events input with its lookups, and every mapped column under the contract's name."""
    spark = frame.sparkSession
    for lookup in mapping.lookups:
        other = read_input(spark, mapping, lookup.input, paths[lookup.input])
        check_columns(other, [*lookup.by, *lookup.columns], mapping.name, lookup.input)
        wanted = other.select(*lookup.by, *lookup.columns).dropDuplicates(lookup.by)
        frame = frame.join(wanted, lookup.by, "left")
    return select(frame, mapping.columns, f"{mapping.name}.columns", paths["events"])


def select(frame: DataFrame, columns: Mapping[str, str], where: str, path: str) -> DataFrame:
    """`frame` as the given columns; each expression is checked by itself, to name the wrong one.

    Raises InputError that names the column, what it asks for and what the file has.
    """
    for name, expression in columns.items():
        try:
            frame.select(F.expr(expression))
        except AnalysisException as error:
            if error.getErrorClass() is None:
                raise
            has = ", ".join(c for c in frame.columns if c != CORRUPT)
            reason = str(error).splitlines()[0].split(" SQLSTATE")[0]
            raise InputError(f"{where}.{name}: {reason} {path} has: {has}") from error
    return frame.select(*[F.expr(e).alias(n) for n, e in columns.items()])


def check_columns(frame: DataFrame, wanted: list[str], source: str, name: str) -> None:
    """Raise InputError that names the columns a lookup's input lacks."""
    if missing := [c for c in wanted if c not in frame.columns]:
        raise InputError(
            f"{source}.lookups.{name}: no columns {', '.join(missing)}; "
            f"it has: {', '.join(frame.columns)}"
        )


def check_paths(mapping: SourceMapping, paths: Mapping[str, str]) -> None:
    """Raise InputError where an input has no path, or a path no input."""
    if wrong := set(mapping.inputs) ^ set(paths):
        raise InputError(
            f"ingest.inputs: paths for {', '.join(sorted(paths)) or 'nothing'}; the mapping "
            f"{mapping.name} wants {', '.join(sorted(mapping.inputs))} (differs: "
            f"{', '.join(sorted(wrong))})"
        )


@contextmanager
def readable(what: str, path: str) -> Iterator[None]:
    """Turns the JVM's complaints about a file into one sentence; other errors pass as they are."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if "PATH_NOT_FOUND" in text:
            raise InputError(f"{what}: nothing at {path}; wanted a file, folder or glob") from error
        for said, meaning in UNREADABLE.items():
            if said in text:
                raise InputError(f"{what}: {path} cannot be read: {meaning}") from error
        raise
