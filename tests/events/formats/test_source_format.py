"""Check that one class in any module adds a source format."""

import importlib
import sys
from datetime import UTC, datetime

import pytest
from pyspark import cloudpickle

from profile_lib.errors import InputError
from profile_lib.events.formats.registry import (
    ARRIVAL,
    FILE,
    FORMATS,
    POSITION,
    PROBLEM,
    ROW,
    SourceFormat,
    source_format,
)
from profile_lib.events.formats.text import read_file
from profile_lib.events.input_plan import plan_events
from profile_lib.events.mapping import InputSpec
from profile_lib.events.readers import read_input
from tests.events.source_files import CSV_LINES, write_mapping

MODULE = '''
import numpy as np
import pyarrow as pa

from profile_lib.events.formats.registry import SparkFormat, source_format
from profile_lib.events.formats.text import TextFormat, TextRows


@source_format("pipes")
class PipeSeparated(SparkFormat):
    def configure(self, reader):
        return reader.format("csv").option("header", True).option("sep", "|")


@source_format("three_words")
class ThreeWords(TextFormat):
    """Three words per line: who, when, what."""

    unreadable = "a line has no three words"

    def columns(self, columns):
        return ["who", "when", "what"]

    def rows(self, open_text, spec, columns):
        lines = open_text().read().decode().splitlines()
        words = [line.split(" ") for line in lines]
        if any(len(line) != 3 for line in words):
            raise pa.ArrowInvalid("not three words")
        columns = [pa.array(column, pa.string()) for column in zip(*words)]
        yield TextRows(columns, np.arange(len(lines)), pa.array(lines))
'''


@pytest.fixture(autouse=True)
def extra_formats(tmp_path, monkeypatch):
    """Register the formats of a module outside the library."""
    (tmp_path / "extra_formats.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(FORMATS, "by_name", FORMATS.all())
    module = importlib.import_module("extra_formats")
    cloudpickle.register_pickle_by_value(module)  # the workers cannot import it
    yield
    cloudpickle.unregister_pickle_by_value(module)
    sys.modules.pop("extra_formats")


def test_a_format_that_spark_reads_is_configured_in_one_method(spark, tmp_path):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "pipes"}})
    (tmp_path / "events.txt").write_text(CSV_LINES.replace(",", "|"))
    plan = plan_events(spark, mapping, "events")
    rows = read_input(spark, plan, str(tmp_path / "events.txt")).orderBy("who").collect()
    assert [(row["who"], row["what"], row[POSITION]) for row in rows] == [
        ("ann", "look", 0),
        ("bob", "buy", 1),
    ]


def test_a_format_that_reads_text_itself_yields_rows_and_explains_its_errors(tmp_path):
    spec, now = InputSpec(format="three_words"), datetime(2024, 3, 1, tzinfo=UTC)
    reader = FORMATS.get("three_words")()
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_bytes("ann 2026-01-02 look\n".encode("utf-16"))
    bad.write_text("ann look\n")
    (batch,) = read_file(reader, str(good), now, spec, ["who", "when", "what"])
    assert batch.to_pylist() == [
        {
            "who": "ann",
            "when": "2026-01-02",
            "what": "look",
            FILE: str(good),
            POSITION: 0,
            ARRIVAL: now,
            ROW: "ann 2026-01-02 look",
            PROBLEM: None,
        }
    ]
    with pytest.raises(InputError) as error:
        list(read_file(reader, str(bad), now, spec, ["who", "when", "what"]))
    assert str(error.value) == f"{bad} cannot be read: a line has no three words"


def test_two_formats_cannot_share_a_name():
    class SecondCsv(SourceFormat):
        def read(self, spark, files, spec, columns):
            raise NotImplementedError

    message = r"inputs\.\*\.format: csv is registered twice, as .*\.Csv and .*\.SecondCsv"
    with pytest.raises(ValueError, match=message):
        source_format("csv")(SecondCsv)
