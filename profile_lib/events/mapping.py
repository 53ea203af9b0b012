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

from profile_lib.errors import InputError, describe_invalid_keys

Reader = TypeVar("Reader", DataFrameReader, DataStreamReader)
CORRUPT_RECORD = "_corrupt_record"
READ_ERROR_MEANINGS = {  # what the JVM says → what it means
    "EOFException": "the file ends too early: it was cut off while it was written or copied",
    "Unexpected end of": "the file ends too early: it was cut off while it was written or copied",
    "not a gzip file": "the name says gzip, the content is not",
    "incorrect header check": "the name says compressed, the content is not",
    "is not a Parquet file": "the content is not Parquet",
    "not a Parquet file": "the content is not Parquet",
    "CANNOT_READ_FILE_FOOTER": "the content is not Parquet",
    "FAILED_READ_FILE": "the content is not what the mapping's format says",
}


class _MappingPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(_MappingPart):
    """A file, folder or glob of one format."""

    format: Literal["csv", "jsonl", "parquet", "delta"]
    where: str | None = None  # rows that are no events of ours: left out on purpose
    column_types: dict[str, str] | None = (
        None  # of nested JSON lines: name → type, instead of a look
    )


class Lookup(_MappingPart):
    """An input whose columns are joined to the events."""

    input: str
    join_keys: list[str]
    columns: list[str]


class ItemColumns(_MappingPart):
    """A catalogue that the source gives: columns as SQL over the input."""

    input: str
    item_id: str
    title: str
    category: str
    brand: str
    price: str | None = None


class UserColumns(_MappingPart):
    """What the source declares of users: columns as SQL over the input."""

    input: str
    user_id: str
    age_band: str | None = None
    gender: str | None = None
    region: str | None = None
    attributes: dict[str, str] = {}


class SourceMapping(_MappingPart):
    """How a source's columns and words become the contract's."""

    name: str
    inputs: dict[str, InputSpec]
    lookups: list[Lookup] = []
    columns: dict[str, str]  # contract column, title, category or brand → SQL over the source
    event_types: dict[str, str | None]  # the source's word → ours; null: left out on purpose
    items: ItemColumns | None = None  # absent: derived from the events
    users: UserColumns | None = None


def read_mapping(path: str) -> SourceMapping:
    """The mapping in a file. Raises InputError that names every wrong key."""
    if not Path(path).is_file():
        raise InputError(f"ingest.mapping: no file {path}; see conf/sources/ for those at hand")
    try:
        return SourceMapping.model_validate(yaml.safe_load(Path(path).read_text("utf-8")))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        raise InputError(f"{path}: {describe_invalid_keys(error)}") from error


def read_input(spark: SparkSession, mapping: SourceMapping, name: str, path: str) -> DataFrame:
    """One input as it is: text columns from CSV and JSON lines, typed ones from the others."""
    spec = mapping.inputs[name]
    reader = spark.read
    if spec.format == "jsonl" and spec.column_types:
        reader = reader.schema(_schema_ddl(spec.column_types))
    with explain_read_errors(f"{mapping.name}.{name}", path):
        frame = _configure_reader(reader, spec).load(path)
        if spec.format == "jsonl" and set(frame.columns) == {CORRUPT_RECORD}:
            raise InputError(f"{path}: no line is JSON; the mapping says {name} is JSON lines")
        return _filter_rows(frame, spec)


def _filter_rows(frame: DataFrame, spec: InputSpec) -> DataFrame:
    return frame if spec.where is None else frame.where(spec.where)


def _configure_reader(reader: Reader, spec: InputSpec) -> Reader:
    if spec.format == "jsonl":
        reader = reader.option("primitivesAsString", True)
    if spec.format == "csv":
        reader = reader.option("header", True).option("escape", '"')
    return reader.format({"jsonl": "json"}.get(spec.format, spec.format))


def _schema_ddl(columns: Mapping[str, str]) -> str:
    fields = {**columns, CORRUPT_RECORD: "string"}
    return ", ".join(f"`{n}` {t}" for n, t in fields.items())


def stream_input(
    spark: SparkSession, mapping: SourceMapping, path: str, kafka: Mapping[str, str] | None
) -> DataFrame:
    """The events input as it arrives: files that are new in `path`, or the JSON values of a Kafka
    topic, as Spark's options in `kafka` name it.

    Raises InputError where the values' columns are not given by the mapping.
    """
    spec = mapping.inputs["events"]
    if kafka is None:
        schema = read_input(spark, mapping, "events", path).schema
        if spec.format == "jsonl" and CORRUPT_RECORD not in schema.names:
            schema = T.StructType([*schema, T.StructField(CORRUPT_RECORD, T.StringType())])
        return _filter_rows(
            _configure_reader(spark.readStream.schema(schema), spec).load(path), spec
        )
    if not spec.column_types:
        raise InputError(
            f"{mapping.name}.inputs.events: no column_types; the values of a Kafka topic are read by "
            "those that the mapping gives: column_types: {name: type}"
        )
    messages = spark.readStream.format("kafka").options(**kafka).load()
    options = {"columnNameOfCorruptRecord": CORRUPT_RECORD}
    value = F.from_json(F.col("value").cast("string"), _schema_ddl(spec.column_types), options)
    return _filter_rows(messages.select(value.alias("value")).select("value.*"), spec)


def read_events(spark: SparkSession, mapping: SourceMapping, paths: Mapping[str, str]) -> DataFrame:
    """All that the events input holds, as `map_events` puts it."""
    return map_events(read_input(spark, mapping, "events", paths["events"]), mapping, paths)


def map_events(frame: DataFrame, mapping: SourceMapping, paths: Mapping[str, str]) -> DataFrame:
    """The events input with its lookups, and every mapped column under the contract's name."""
    spark = frame.sparkSession
    for lookup in mapping.lookups:
        other = read_input(spark, mapping, lookup.input, paths[lookup.input])
        check_columns(other, [*lookup.join_keys, *lookup.columns], mapping.name, lookup.input)
        wanted = other.select(*lookup.join_keys, *lookup.columns).dropDuplicates(lookup.join_keys)
        frame = frame.join(wanted, lookup.join_keys, "left")
    return select_columns(frame, mapping.columns, f"{mapping.name}.columns", paths["events"])


def select_columns(
    frame: DataFrame, columns: Mapping[str, str], label: str, path: str
) -> DataFrame:
    """`frame` as the given columns; each expression is checked by itself, to name the wrong one.

    Raises InputError that names the column, what it asks for and what the file has.
    """
    for name, expression in columns.items():
        try:
            frame.select(F.expr(expression))
        except AnalysisException as error:
            if error.getErrorClass() is None:
                raise
            has = ", ".join(c for c in frame.columns if c != CORRUPT_RECORD)
            reason = str(error).splitlines()[0].split(" SQLSTATE")[0]
            raise InputError(f"{label}.{name}: {reason} {path} has: {has}") from error
    return frame.select(*[F.expr(e).alias(n) for n, e in columns.items()])


def check_columns(frame: DataFrame, required: list[str], source: str, input_name: str) -> None:
    """Raise InputError that names the columns a lookup's input lacks."""
    if missing := [c for c in required if c not in frame.columns]:
        raise InputError(
            f"{source}.lookups.{input_name}: no columns {', '.join(missing)}; "
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
def explain_read_errors(label: str, path: str) -> Iterator[None]:
    """Turns the JVM's complaints about a file into one sentence; other errors pass as they are."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if "PATH_NOT_FOUND" in text:
            raise InputError(
                f"{label}: nothing at {path}; wanted a file, folder or glob"
            ) from error
        for said, meaning in READ_ERROR_MEANINGS.items():
            if said in text:
                raise InputError(f"{label}: {path} cannot be read: {meaning}") from error
        raise
