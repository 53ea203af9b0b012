"""Read the inputs of a mapping, at once or as they arrive."""

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.events.formats.json_lines import parse_json
from profile_lib.events.formats.registry import FORMATS
from profile_lib.events.mapping import InputSpec, SourceMapping
from profile_lib.events.read_errors import explain_read_errors


def read_input(spark: SparkSession, mapping: SourceMapping, name: str, path: str) -> DataFrame:
    """Read the wanted rows of an input in the source's own columns.

    Raises InputError if there is no file, or if it is not of the mapping's format.
    """
    spec = mapping.inputs[name]
    with explain_read_errors(f"{mapping.name}.{name}", path):
        return _filter_rows(FORMATS.get(spec.format)().read(spark, path, spec.column_types), spec)


def stream_events(
    spark: SparkSession, mapping: SourceMapping, path: str, kafka: Mapping[str, str] | None
) -> DataFrame:
    """Read the events input as it arrives, in files or through Kafka.

    Without `kafka`, new files in `path` are read. `kafka` holds Spark's options of a topic whose
    values are JSON objects. Raises InputError if the format has no stream, or if the mapping does
    not declare the columns of the values.
    """
    spec = mapping.inputs["events"]
    if kafka is not None:
        return _filter_rows(_stream_kafka(spark, mapping, kafka), spec)
    with explain_read_errors(f"{mapping.name}.events", path):
        arriving = FORMATS.get(spec.format)().stream(spark, path, spec.column_types)
        if arriving is None:
            raise InputError(
                f"{mapping.name}.inputs.events: files of format {spec.format} cannot be read as "
                "they arrive; wanted a format with a stream: ingest them with jobs/ingest_events.py"
            )
        return _filter_rows(arriving, spec)


def _stream_kafka(
    spark: SparkSession, mapping: SourceMapping, options: Mapping[str, str]
) -> DataFrame:
    column_types = mapping.inputs["events"].column_types
    if not column_types:
        raise InputError(
            f"{mapping.name}.inputs.events: no column_types; the values of a Kafka topic are read "
            "by those that the mapping gives: column_types: {name: type}"
        )
    messages = spark.readStream.format("kafka").options(**options).load()
    value = parse_json(F.col("value").cast("string"), column_types)
    return messages.select(value.alias("value")).select("value.*")


def _filter_rows(frame: DataFrame, spec: InputSpec) -> DataFrame:
    return frame if spec.where is None else frame.where(spec.where)
