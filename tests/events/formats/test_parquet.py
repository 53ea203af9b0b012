"""Check that Parquet of any types, schemas and writers is read, or refused in one sentence."""

import decimal
import gzip
import json
from datetime import date, datetime, time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame

from profile_lib.errors import InputError
from profile_lib.events.files.inspection import inspect_file, inspect_files
from profile_lib.events.formats.parquet import Parquet
from profile_lib.events.formats.registry import FILE, FORMATS, POSITION, PROBLEM, RAW_COLUMNS, ROW
from profile_lib.events.mapping import InputSpec
from profile_lib.spark.column_shapes import Shape
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf

SPEC = InputSpec(format="parquet")
TIME = datetime(2024, 3, 1, 10, 0, 0, 123456)
NANOS = 1_709_287_200_123_456_999  # TIME, and 999 nanoseconds


def write(folder: Path, name: str, **columns: object) -> Path:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def read(spark, paths: list[Path], *columns: str) -> DataFrame:
    """Read files as ingestion does."""
    listed = [(f"file:{path}", TIME, 1) for path in paths]
    schema = "path string, modified_ts timestamp, n_bytes long"
    files = inspect_files(spark.createDataFrame(listed, schema), SPEC)
    return Parquet().read(spark, files, SPEC, Shape({name: Shape() for name in columns}))


def collect(spark, paths: list[Path], *columns: str) -> list[tuple]:
    with session_conf(spark, LENIENT_CONF):
        wanted = [name for name in columns if name not in RAW_COLUMNS]
        rows = read(spark, paths, *wanted).orderBy(FILE, POSITION).collect()
    return [tuple(row[name] for name in columns) for row in rows]


def test_times_of_any_unit_and_writer_are_the_same_moment(spark, tmp_path):
    columns = {
        "ns": pa.array([NANOS, -1], pa.timestamp("ns")),
        "ns_utc": pa.array([NANOS, -1], pa.timestamp("ns", "UTC")),
        "us": pa.array([TIME, None], pa.timestamp("us")),
        "us_utc": pa.array([TIME, None], pa.timestamp("us", "UTC")),
        "ms": pa.array([NANOS // 10**6, None], pa.timestamp("ms")),
    }
    path = write(tmp_path, "times.parquet", **columns)
    with session_conf(spark, LENIENT_CONF):
        frame = read(spark, [path], *columns)
        types = {name: frame.schema[name].dataType.simpleString() for name in columns}
        first, second = (
            frame.orderBy(POSITION).selectExpr(*map("CAST({} AS STRING)".format, columns)).collect()
        )
    assert types == {
        "ns": "timestamp_ntz",
        "ns_utc": "timestamp",
        "us": "timestamp_ntz",
        "us_utc": "timestamp",
        "ms": "timestamp_ntz",
    }
    micros, millis = "2024-03-01 10:00:00.123456", "2024-03-01 10:00:00.123"
    assert tuple(first) == (micros, micros, micros, micros, millis)
    assert tuple(second) == ("1969-12-31 23:59:59.999999",) * 2 + (None,) * 3


def test_int96_times_are_read(spark, tmp_path):
    table = pa.table({"ts": pa.array([NANOS], pa.timestamp("ns"))})
    pq.write_table(table, tmp_path / "old.parquet", use_deprecated_int96_timestamps=True)
    assert collect(spark, [tmp_path / "old.parquet"], "ts") == [(TIME,)]


def test_numbers_booleans_and_nested_columns_keep_their_types(spark, tmp_path):
    path = write(
        tmp_path,
        "types.parquet",
        price=pa.array([decimal.Decimal("1299.50")], pa.decimal128(20, 2)),
        big=pa.array([2**64 - 1], pa.uint64()),
        flag=[True],
        day=[date(2024, 3, 1)],
        items=[[{"id": "a1"}, None]],
        params=pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
        nothing=pa.nulls(1),
    )
    names = ("price", "big", "flag", "day", "items", "params", "nothing")
    assert collect(spark, [path], *names) == [
        (
            decimal.Decimal("1299.50"),
            decimal.Decimal(2**64 - 1),
            True,
            date(2024, 3, 1),
            [("a1",), None],
            {"k": 1},
            None,
        )
    ]


def test_files_of_several_schemas_are_read_by_name_in_any_case_and_order(spark, tmp_path):
    paths = [
        write(tmp_path, "1.parquet", uid=["ann"], price=[1], extra=["x"]),
        write(tmp_path, "2.parquet", price=[2.5], UID=["bob"]),
        write(tmp_path, "3.parquet", uid=["cat"]),
        write(tmp_path, "4.parquet", uid=["dan"], price=["3,50"]),
        write(tmp_path, "5.parquet", uid=["eve"], price=[17850.0]),
    ]
    assert collect(spark, paths, "uid", "price") == [
        ("ann", "1"),
        ("bob", "2.5"),
        ("cat", None),
        ("dan", "3,50"),
        ("eve", "17850"),
    ]


def test_the_text_of_a_row_depends_neither_on_the_order_of_columns_nor_on_missing_ones(
    spark, tmp_path
):
    paths = [
        write(tmp_path, "1.parquet", uid=["ann"], price=[1], coupon=pa.nulls(1, pa.string())),
        write(tmp_path, "2.parquet", price=[1], uid=["ann"]),
    ]
    assert collect(spark, paths, ROW) == [('{"price":1,"uid":"ann"}',)] * 2


def test_types_that_do_not_fit_are_refused_with_both(spark, tmp_path):
    paths = [
        write(tmp_path, "1.parquet", uid=["ann"], at=[1]),
        write(tmp_path, "2.parquet", uid=["bob"], at=pa.array([TIME], pa.timestamp("us"))),
    ]
    with pytest.raises(InputError) as error:
        collect(spark, paths, "uid", "at")
    assert str(error.value) == (
        "the files differ in the types of the columns at (bigint, timestamp_ntz); wanted one type "
        "in all files: write them again, or give each type an input of its own"
    )


def test_columns_with_odd_names_and_files_with_odd_names_are_read(spark, tmp_path):
    columns = {"a.b": ["1"], "c, d": ["2"], "e`f": ["3"], "g h": ["4"], "select": ["5"]}
    paths = [
        write(tmp_path / "dt=2024", name, **columns)
        for name in ("a b.parquet", "c[1]{2}*.parquet", "d%20#?.parquet")
    ]
    assert collect(spark, paths, *columns) == [("1", "2", "3", "4", "5")] * 3


def test_columns_may_have_the_names_of_sparks_own_and_begin_with_underscores(spark, tmp_path):
    columns = {
        name: [name] for name in ("_row", "_file", "_metadata", "_position", "_index", "_id")
    }
    path = write(tmp_path, "fivetran.parquet", uid=["ann"], **columns)
    ((file, row, *values),) = collect(spark, [path], FILE, ROW, "uid", *columns)
    assert values == ["ann", *columns]
    assert file == f"file:{path}"
    assert json.loads(row) == {"uid": "ann"} | {name: name for name in columns}
    assert collect(spark, [path], POSITION, "uid") == [(0, "ann")]


UUIDS = ["6fa459ea-ee8a-3ca4-894e-db77e160355e", "00000000-0000-0000-0000-00000000000a"]


def write_uuids(path: Path) -> Path:
    rows = ", ".join(
        f"('{uuid}'::UUID, 'ann', ['{uuid}'::UUID], {{k: 1::UTINYINT}}, {2**64 - 1}::UBIGINT, "
        "'2024-03-01 10:00:00.123456'::TIMESTAMP_NS)"
        for uuid in UUIDS
    )
    duckdb.sql(
        f"COPY (FROM (VALUES {rows}, (NULL, 'bob', NULL, NULL, NULL, NULL)) "
        f"AS t(id, uid, ids, part, big, ts)) TO '{path}' (FORMAT parquet)"
    )
    return path


def test_a_uuid_is_read_as_its_text_and_does_not_change_other_columns(spark, tmp_path):
    path = write_uuids(tmp_path / "uuids.parquet")
    assert collect(spark, [path], "id", "uid", "part", "big", "ts") == [
        (UUIDS[0], "ann", (1,), decimal.Decimal(2**64 - 1), TIME),
        (UUIDS[1], "ann", (1,), decimal.Decimal(2**64 - 1), TIME),
        (None, "bob", None, None, None),
    ]
    (first,), (second,), _ = collect(spark, [path], ROW)
    assert first != second


def test_files_with_and_without_a_uuid_are_read_together(spark, tmp_path):
    paths = [
        write_uuids(tmp_path / "1.parquet"),
        write(tmp_path, "2.parquet", uid=["cat"], id=["c1"], big=[1.5]),
    ]
    found = collect(spark, paths, "id", "uid")
    assert found == [(UUIDS[0], "ann"), (UUIDS[1], "ann"), (None, "bob"), ("c1", "cat")]


def test_a_uuid_inside_a_wanted_column_is_refused_with_its_file(spark, tmp_path):
    path = write_uuids(tmp_path / "uuids.parquet")
    with pytest.raises(InputError) as error:
        collect(spark, [path], "uid", "ids")
    assert str(error.value) == (
        f"file:{path}: the column ids.list.element has the type UUID, which is not read inside "
        "another column; write it as a text"
    )


def test_no_file_gives_no_row(spark):
    assert collect(spark, [], POSITION, PROBLEM) == []


def problem_of(path: Path) -> str | None:
    return inspect_file(str(path), SPEC, FORMATS.get(SPEC.format)())[3]


def test_inspection_gives_the_names_and_one_layout_per_schema(tmp_path):
    first = write(tmp_path, "1.parquet", uid=["ann"], ts=pa.array([NANOS], pa.timestamp("ns")))
    second = write(tmp_path, "2.parquet", uid=["bob"], ts=pa.array([0], pa.timestamp("ns")))
    (digest, names, layout, problem), other = (
        inspect_file(str(p), SPEC, FORMATS.get(SPEC.format)()) for p in (first, second)
    )
    assert (names, problem) == (["uid", "ts"], None)
    assert json.loads(layout)["nanoseconds"] == {"ts": "timestamp_ntz"}
    assert other[2] == layout
    assert other[0] != digest


BROKEN = {
    "text": lambda content: b"uid,ts\n",
    "cut off": lambda content: content[:-10],
    "without its first half": lambda content: content[len(content) // 2 :],
    "compressed": gzip.compress,
    "with a damaged footer": lambda content: content[:-40] + b"\xff" * 32 + content[-8:],
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_not_parquet_is_named_in_one_sentence(tmp_path, damage):
    path = write(tmp_path, "events.parquet", uid=["ann"])
    path.write_bytes(damage(path.read_bytes()))
    sentence = f"{path} cannot be read: the content is not Parquet, or it was cut off"
    assert problem_of(path) == sentence


UNREAD = [
    (pa.array([time(10)], pa.time64("us")), "Time(isAdjustedToUTC=true, timeUnit=microseconds)"),
    (pa.array([1], pa.decimal256(50, 2)), "Decimal(precision=50, scale=2)"),
]


@pytest.mark.parametrize(("column", "type_name"), UNREAD)
def test_a_column_of_a_type_that_spark_does_not_read_is_named(tmp_path, column, type_name):
    path = write(tmp_path, "events.parquet", uid=["ann"], at=column)
    assert problem_of(path) == (
        f"{path}: the column at has the type {type_name}, which is not read; write it as a text "
        "or a number, or drop it"
    )


def test_names_that_differ_in_case_alone_are_refused(tmp_path):
    path = write(tmp_path, "events.parquet", uid=["ann"], Uid=["bob"])
    assert problem_of(path) == (
        f"{path}: the columns Uid, uid differ in case alone; wanted one spelling: rename or drop "
        "one of them"
    )
