"""Check that one class in any module adds a source format."""

import importlib
import sys

import pytest
from pyspark.testing import assertDataFrameEqual

from profile_lib.errors import InputError
from profile_lib.events.column_mapping import map_events, read_events
from profile_lib.events.formats.registry import FORMATS, SourceFormat, source_format
from profile_lib.events.read_errors import explain_read_errors
from profile_lib.events.readers import stream_events
from tests.events.source_files import COLUMNS, CSV_LINES, MAPPED_ROWS, write_file, write_mapping

MODULE = '''
from pyspark.errors import PySparkException
from profile_lib.events.formats.registry import SourceFormat, SparkFormat, source_format


@source_format("pipes")
class PipeSeparated(SparkFormat):
    def configure(self, reader):
        return reader.format("csv").option("header", True).option("sep", "|")


@source_format("three_words")
class ThreeWords(SourceFormat):
    """Three words per line: who, date and time joined by T, what."""

    read_errors = {"BAD_LINE": "a line has no three words"}

    def read(self, spark, path, column_types):
        lines = spark.read.text(path)
        if not lines.where("size(split(value, ' ')) <> 3").isEmpty():
            raise PySparkException("BAD_LINE")
        words = "split(value, ' ')"
        return lines.selectExpr(
            f"{words}[0] AS who", f"replace({words}[1], 'T', ' ') AS when", f"{words}[2] AS what"
        )
'''


@pytest.fixture
def extra_formats(tmp_path, monkeypatch):
    """Register the formats of a module outside the library."""
    (tmp_path / "extra_formats.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(FORMATS, "by_name", FORMATS.all())
    importlib.import_module("extra_formats")
    yield
    sys.modules.pop("extra_formats")


@pytest.mark.usefixtures("extra_formats")
def test_a_format_of_another_module_is_read_through_a_mapping(spark, rows, tmp_path):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "pipes"}})
    path = write_file(tmp_path, "events.txt", CSV_LINES.replace(",", "|"))
    expected = rows("user_id string, event_ts string, event_type string", *MAPPED_ROWS)
    assertDataFrameEqual(read_events(spark, mapping, {"events": path}), expected)


@pytest.mark.usefixtures("extra_formats")
def test_a_format_that_configures_a_spark_reader_can_also_be_streamed(spark, rows, tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    write_file(folder, "events.txt", CSV_LINES.replace(",", "|"))
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "pipes"}})
    arriving = stream_events(spark, mapping, str(folder), kafka=None)
    mapped = map_events(arriving, mapping, {"events": str(folder)})
    query = mapped.writeStream.format("memory").queryName("pipes").trigger(availableNow=True)
    query.option("checkpointLocation", str(tmp_path / "checkpoint")).start().awaitTermination()
    expected = rows("user_id string, event_ts string, event_type string", *MAPPED_ROWS)
    assertDataFrameEqual(spark.table("pipes"), expected)


@pytest.mark.usefixtures("extra_formats")
def test_a_format_may_read_files_itself_and_explain_its_own_errors(spark, tmp_path):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "three_words"}})
    good = write_file(tmp_path, "good.txt", "ann 2026-01-02T03:04:05 look\n")
    frame = read_events(spark, mapping, {"events": good})
    assert [tuple(row) for row in frame.select(*COLUMNS).collect()] == MAPPED_ROWS[:1]
    bad = write_file(tmp_path, "bad.txt", "ann look\n")
    with (
        pytest.raises(InputError, match="bad.txt cannot be read: a line has no three words"),
        explain_read_errors(mapping.name, bad),
    ):
        read_events(spark, mapping, {"events": bad})


@pytest.mark.usefixtures("extra_formats")
def test_streaming_a_format_that_only_reads_whole_files_is_refused(spark, tmp_path):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "three_words"}})
    with pytest.raises(InputError, match="files of format three_words cannot be read as they arr"):
        stream_events(spark, mapping, str(tmp_path), kafka=None)


def test_two_formats_cannot_share_a_name():
    class SecondCsv(SourceFormat):
        def read(self, spark, path, column_types):
            raise NotImplementedError

    message = r"inputs\.\*\.format: csv is registered twice, as .*\.Csv and .*\.SecondCsv"
    with pytest.raises(ValueError, match=message):
        source_format("csv")(SecondCsv)


def test_a_kafka_topic_needs_declared_column_types(spark, tmp_path):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "jsonl"}})
    with pytest.raises(InputError, match="shop.inputs.events: no column_types"):
        stream_events(spark, mapping, "unused", kafka={"subscribe": "events"})
