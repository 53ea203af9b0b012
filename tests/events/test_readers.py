"""Check that files of each format are read, and that unreadable files are explained."""

import gzip

import pytest

from profile_lib.errors import InputError
from profile_lib.events.column_mapping import read_events
from profile_lib.events.read_errors import explain_read_errors
from tests.events.source_files import COLUMNS, CSV_LINES, MAPPED_ROWS, write_file, write_mapping

JSON_LINES = (
    '{"who": "ann", "when": "2026-01-02 03:04:05", "what": "look"}\n'
    '{"who": "bob", "when": "2026-01-02 03:05:00", "what": "buy"}\n'
)


def read(spark, mapping, path: str) -> list[tuple]:
    with explain_read_errors(mapping.name, path):
        frame = read_events(spark, mapping, {"events": path})
        return sorted(tuple(row) for row in frame.select(*COLUMNS).collect())


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz"])
def test_csv_is_read_compressed_or_not(spark, tmp_path, name):
    assert (
        read(spark, write_mapping(tmp_path), write_file(tmp_path, name, CSV_LINES)) == MAPPED_ROWS
    )


@pytest.mark.parametrize("name", ["events.json", "events.json.gz"])
def test_json_lines_are_read_compressed_or_not(spark, tmp_path, name):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": "jsonl"}})
    assert read(spark, mapping, write_file(tmp_path, name, JSON_LINES)) == MAPPED_ROWS


@pytest.mark.parametrize("format_name", ["parquet", "delta"])
def test_parquet_and_delta_are_read(spark, tmp_path, format_name):
    path = str(tmp_path / "events")
    values = [(who, when, what.lower()) for who, when, what in MAPPED_ROWS]
    frame = spark.createDataFrame(values, "who string, when string, what string")
    frame.write.format(format_name).save(path)
    mapping = write_mapping(tmp_path, inputs={"events": {"format": format_name}})
    assert read(spark, mapping, path) == MAPPED_ROWS


def test_rows_that_fail_the_condition_of_the_mapping_are_left_out(spark, tmp_path):
    mapping = write_mapping(
        tmp_path, inputs={"events": {"format": "csv", "where": "what <> 'buy'"}}
    )
    assert read(spark, mapping, write_file(tmp_path, "events.csv", CSV_LINES)) == MAPPED_ROWS[:1]


def test_a_missing_file_is_reported_with_its_path(spark, tmp_path):
    missing = str(tmp_path / "no_events_*.csv")
    with pytest.raises(InputError, match=r"shop.events: nothing at .*no_events_\*.csv; wanted a f"):
        read(spark, write_mapping(tmp_path), missing)


@pytest.mark.parametrize(
    ("format_name", "problem"),
    [("parquet", "the content is not Parquet"), ("jsonl", "no line is JSON; the mapping's format")],
)
def test_a_file_of_another_format_is_reported(spark, tmp_path, format_name, problem):
    mapping = write_mapping(tmp_path, inputs={"events": {"format": format_name}})
    with pytest.raises(InputError, match=problem):
        read(spark, mapping, write_file(tmp_path, "events.csv", CSV_LINES))


def test_a_truncated_gzip_is_reported(spark, tmp_path):
    complete = gzip.compress("\n".join([CSV_LINES, *map(str, range(50_000))]).encode())
    file = tmp_path / "events.csv.gz"
    file.write_bytes(complete[: len(complete) // 2])
    with pytest.raises(InputError, match=r"events.csv.gz cannot be read: the file ends too early"):
        read(spark, write_mapping(tmp_path), str(file))


def test_an_uncompressed_file_named_gz_is_reported(spark, tmp_path):
    file = tmp_path / "events.csv.gz"
    file.write_text(CSV_LINES, encoding="utf-8")
    with pytest.raises(InputError, match="the name says gzip, the content is not"):
        read(spark, write_mapping(tmp_path), str(file))
