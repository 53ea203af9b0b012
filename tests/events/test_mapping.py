"""What is read by a mapping file, and what a wrong file, column or mapping is answered."""

import gzip
from pathlib import Path

import pytest
import yaml

from profile_lib.errors import InputError
from profile_lib.events.mapping import check_paths, explain_read_errors, read_events, read_mapping

LINES = "who,when,what\nann,2026-01-02 03:04:05,look\nbob,2026-01-02 03:05:00,buy\n"
COLUMNS = {"user_id": "who", "event_ts": "when", "event_type": "upper(what)"}


def write_mapping(folder: Path, **changes: object):
    values = {
        "name": "shop",
        "inputs": {"events": {"format": "csv"}},
        "columns": COLUMNS,
        "event_types": {"LOOK": "view", "BUY": "purchase"},
    }
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
    return read_mapping(str(file))


def write(folder: Path, name: str, text: str) -> str:
    file = folder / name
    data = text.encode()
    file.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return str(file)


def read(spark, given, path: str) -> list[tuple]:
    with explain_read_errors(given.name, path):
        frame = read_events(spark, given, {"events": path})
        return sorted(tuple(row) for row in frame.select(*COLUMNS).collect())


EXPECTED_ROWS = [("ann", "2026-01-02 03:04:05", "LOOK"), ("bob", "2026-01-02 03:05:00", "BUY")]


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz"])
def test_csv_is_read_compressed_or_not(spark, tmp_path, name):
    assert read(spark, write_mapping(tmp_path), write(tmp_path, name, LINES)) == EXPECTED_ROWS


@pytest.mark.parametrize("name", ["events.json", "events.json.gz"])
def test_json_lines_are_read_compressed_or_not(spark, tmp_path, name):
    given = write_mapping(tmp_path, inputs={"events": {"format": "jsonl"}})
    lines = (
        '{"who": "ann", "when": "2026-01-02 03:04:05", "what": "look"}\n'
        '{"who": "bob", "when": "2026-01-02 03:05:00", "what": "buy"}\n'
    )
    assert read(spark, given, write(tmp_path, name, lines)) == EXPECTED_ROWS


@pytest.mark.parametrize("format", ["parquet", "delta"])
def test_parquet_and_delta_are_read(spark, tmp_path, format):
    path = str(tmp_path / "events")
    rows = [(who, when, what.lower()) for who, when, what in EXPECTED_ROWS]
    spark.createDataFrame(rows, "who string, when string, what string").write.format(format).save(
        path
    )
    assert (
        read(spark, write_mapping(tmp_path, inputs={"events": {"format": format}}), path)
        == EXPECTED_ROWS
    )


def test_a_lookup_adds_its_columns_and_loses_no_event(spark, tmp_path):
    given = write_mapping(
        tmp_path,
        inputs={"events": {"format": "csv"}, "visits": {"format": "csv"}},
        lookups=[{"input": "visits", "join_keys": ["who"], "columns": ["device"]}],
        columns=COLUMNS | {"device": "device"},
    )
    visits = write(tmp_path, "visits.csv", "who,device,other\nann,phone,1\nann,phone,2\n")
    paths = {"events": write(tmp_path, "events.csv", LINES), "visits": visits}
    found = read_events(spark, given, paths).select("user_id", "device").collect()
    assert sorted(map(tuple, found)) == [("ann", "phone"), ("bob", None)]


def test_a_lookup_without_its_columns_is_reported_by_name(spark, tmp_path):
    given = write_mapping(
        tmp_path,
        inputs={"events": {"format": "csv"}, "visits": {"format": "csv"}},
        lookups=[{"input": "visits", "join_keys": ["who"], "columns": ["device"]}],
    )
    paths = {
        "events": write(tmp_path, "events.csv", LINES),
        "visits": write(tmp_path, "visits.csv", "who,browser\nann,x\n"),
    }
    with pytest.raises(InputError, match=r"lookups.visits: no columns device; it has: who, brow"):
        read_events(spark, given, paths)


def test_a_missing_file_is_reported_with_its_path(spark, tmp_path):
    missing = str(tmp_path / "no_events_*.csv")
    with pytest.raises(InputError, match=r"shop.events: nothing at .*no_events_\*.csv; wanted a f"):
        read(spark, write_mapping(tmp_path), missing)


def test_a_missing_column_is_reported_with_the_columns_of_the_file(spark, tmp_path):
    given = write_mapping(tmp_path, columns=COLUMNS | {"price": "cost"})
    with pytest.raises(InputError, match=r"shop.columns.price: .*cost.*has: who, when, what"):
        read(spark, given, write(tmp_path, "events.csv", LINES))


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_a_file_of_another_format_is_reported(spark, tmp_path, format):
    given = write_mapping(tmp_path, inputs={"events": {"format": format}})
    with pytest.raises(InputError, match="the content is not Parquet|no line is JSON"):
        read(spark, given, write(tmp_path, "events.csv", LINES))


def test_a_truncated_gzip_is_reported(spark, tmp_path):
    whole = gzip.compress("\n".join([LINES, *map(str, range(50_000))]).encode())
    file = tmp_path / "events.csv.gz"
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"events.csv.gz cannot be read: the file ends too early"):
        read(spark, write_mapping(tmp_path), str(file))


def test_a_plain_file_named_gz_is_reported(spark, tmp_path):
    file = tmp_path / "events.csv.gz"
    file.write_text(LINES, encoding="utf-8")
    with pytest.raises(InputError, match="the name says gzip, the content is not"):
        read(spark, write_mapping(tmp_path), str(file))


def test_paths_and_inputs_must_be_the_same(tmp_path):
    with pytest.raises(InputError, match=r"wants events \(differs: events, orders\)"):
        check_paths(write_mapping(tmp_path), {"orders": "somewhere"})


def test_a_wrong_key_of_a_mapping_is_reported_with_its_path(tmp_path):
    with pytest.raises(InputError, match=r"shop.yaml: inputs.events.format: .*'csv'"):
        write_mapping(tmp_path, inputs={"events": {"format": "xls"}})


def test_a_missing_or_invalid_mapping_file_is_reported(tmp_path):
    with pytest.raises(InputError, match="no file .*nothing.yaml; see conf/sources"):
        read_mapping(str(tmp_path / "nothing.yaml"))
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(InputError, match="broken.yaml: not YAML"):
        read_mapping(str(tmp_path / "broken.yaml"))


@pytest.mark.parametrize("file", sorted(Path("conf/sources").glob("*.yaml")), ids=str)
def test_each_shipped_mapping_file_is_valid(file):
    assert read_mapping(str(file)).columns["user_id"]
