"""Check that JSON lines and arrays are read, and that a line which is no object is kept."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from profile_lib.events.files.inspection import inspect_file
from profile_lib.events.formats.json_lines import JsonLines, parse_json
from profile_lib.events.formats.registry import FILE, FORMATS, POSITION, PROBLEM, RAW_SCHEMA, ROW
from profile_lib.events.formats.text import read_file
from profile_lib.events.mapping import InputSpec
from profile_lib.spark.column_shapes import Shape
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf

SPEC = InputSpec(format="jsonl")
ARRIVAL = datetime(2024, 3, 2, tzinfo=UTC)


def inspect(folder: Path, content: bytes) -> tuple[list[str], str | None]:
    file = folder / "events.json"
    file.write_bytes(content)
    _, names, _, problem = inspect_file(str(file), SPEC, FORMATS.get(SPEC.format)())
    return names, problem


def read_lines(folder: Path, content: bytes, spec: InputSpec = SPEC) -> list[tuple[int, str]]:
    file = folder / "events.json"
    file.write_bytes(content)
    batches = read_file(JsonLines(), str(file), ARRIVAL, spec, [])
    return [(row[POSITION], row[ROW]) for batch in batches for row in batch.to_pylist()]


def test_inspection_finds_the_keys_at_any_depth_even_after_a_torn_line(tmp_path):
    content = b'n": 1}\n{"uid": "u\\"1", "a.b": {"k" : [{"i\xc3\xa9": 1}]}}\n'
    assert inspect(tmp_path, content) == (["a.b", "ié", "k", "uid"], None)


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_an_empty_file_has_no_keys_and_no_rows(tmp_path, content):
    assert inspect(tmp_path, content) == ([], None)
    assert read_lines(tmp_path, content) == []


UNREADABLE = [
    (b"uid,ts\nann,1\n", ": the content is not JSON; the mapping's format of this input is jsonl"),
    (
        b'[{"uid": "ann"},\n{"uid": "b',
        " cannot be read: the array of its objects has no end, so the file was cut off while it "
        "was written or copied; copy it again",
    ),
]


@pytest.mark.parametrize(("content", "reason"), UNREADABLE)
def test_a_file_of_another_format_or_with_half_an_array_is_refused(tmp_path, content, reason):
    assert inspect(tmp_path, content)[1] == f"{tmp_path}/events.json{reason}"


LINES = [
    (b'{"a": 1}\r\n\n  {"a": 2}  \n', [(0, '{"a": 1}'), (1, '{"a": 2}')]),
    (b'\xff\n{"a"', [(0, "\ufffd"), (1, '{"a"')]),
    (b'[{"a": 1},\n {"a": 2}]\n', [(0, '[{"a": 1},\n {"a": 2}]\n')]),
    (b'[{"a": 1}]\n[{"a": 2}, {"a": 3}]\n', [(0, '[{"a": 1}]'), (1, '[{"a": 2}, {"a": 3}]')]),
]


@pytest.mark.parametrize(("content", "lines"), LINES)
def test_a_row_is_a_line_that_is_not_empty_or_a_whole_file_with_one_array(tmp_path, content, lines):
    assert read_lines(tmp_path, content) == lines


def test_lines_across_blocks_are_joined(tmp_path, monkeypatch):
    monkeypatch.setattr("profile_lib.events.formats.json_lines.BLOCK_BYTES", 7)
    content = b"".join(b'{"number": %d}\n' % n for n in range(100))
    assert read_lines(tmp_path, content) == [(n, f'{{"number": {n}}}') for n in range(100)]


TYPES = {"uid": "string", "a": "struct<b: string>", "items": "array<struct<id: string>>"}
KEYS = ["UID", "Uid", "items", "b"]
OBJECTS = [
    ('{"uid": "ann", "a": {"b": 1}, "items": [{"id": 1}, {}]}', ("ann", ("1",), [("1",), (None,)])),
    ('{"UID": "ann"}', ("ann", None, None)),
    ('{"Uid": "bob", "uid": "ann"}', ("ann", None, None)),
    ('{"uid": null, "Uid": "bob"}', ("bob", None, None)),
    ('{"uid": 12345678901234567890, "x": 1e400}', ("12345678901234567890", None, None)),
    ('{"uid": true, "uid": false}', ("false", None, None)),
    ('{"uid": {"id": [1, "x"]}}', ('{"id":[1,"x"]}', None, None)),
    ('{"uid": "ann", "a": "text", "items": {"id": 1}}', ("ann", None, None)),
    ('{"uid": "ann", "a": [1], "items": "none"}', ("ann", None, None)),
    ('{"uid": "a\\u0000b"}', ("a\x00b", None, None)),
    ("{}", (None, None, None)),
]
NO_OBJECTS = [
    '{"uid": "ann"', '{"uid": "ann"} {"uid": "bob"}', '{"uid": "ann"}, {"uid": "bob"}',
    '{"uid": "ann"} trailing', '{"uid": 01}', "torn", "5", "null", '"text"', "[1, 2]",
    '{"uid": ' + "[" * 2_000 + "]" * 2_000 + "}", '{"uid": ' + "9" * 2_000 + "}", None,
]  # fmt: skip


@pytest.fixture(scope="module")
def parsed(spark) -> dict[str | None, tuple]:
    """The values and the problem of all rows, by their text."""
    texts = [text for text, _ in OBJECTS] + NO_OBJECTS
    rows = [("f", n, ARRIVAL, text, None) for n, text in enumerate(texts)]
    with session_conf(spark, LENIENT_CONF):
        frame = parse_json(spark.createDataFrame(rows, RAW_SCHEMA), TYPES, KEYS)
        found = frame.orderBy(POSITION).collect()
    values = [(row["uid"], row["a"], row["items"], row[PROBLEM]) for row in found]
    return dict(zip(texts, values, strict=True))


@pytest.mark.parametrize(("text", "values"), OBJECTS)
def test_an_object_has_its_wanted_keys_in_any_case_and_null_for_values_of_other_types(
    parsed, text, values
):
    assert parsed[text] == (*values, None)


@pytest.mark.parametrize("text", NO_OBJECTS, ids=lambda text: str(text)[:20])
def test_what_is_not_exactly_one_object_is_kept_with_a_problem(parsed, text):
    assert parsed[text] == (None, None, None, "not_json")


def test_arrays_become_a_row_per_object_with_a_number_of_its_own(spark, tmp_path):
    contents = {
        "array.json": '[{"uid": "a1"}, {"UID": "a2", "x": 1.0}, null, 5]',
        "lines.json": '{"uid": "l1"}\ntorn\n{"uid": "l2"}\n',
        "array_lines.json": '[{"uid": "b1"}, {"uid": "b2"}]\n[]\n[{"uid": "b3"}]\n',
        "trailing.json": '[{"uid": "t1"}] [{"uid": "t2"}]',
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    files = [(f"{tmp_path}/{name}", ARRIVAL, ["uid", "UID"]) for name in contents]
    schema = "path string, modified_ts timestamp, names array<string>"
    with session_conf(spark, LENIENT_CONF):
        rows = JsonLines().read(spark, spark.createDataFrame(files, schema), SPEC, shape("uid"))
        found = rows.select(FILE, POSITION, "uid", PROBLEM, ROW).collect()
    by_file = {
        name: sorted(tuple(row[1:]) for row in found if row[FILE].endswith(f"/{name}"))
        for name in contents
    }
    assert by_file["array.json"] == [
        (0, "a1", None, '{"uid":"a1"}'),
        (1, "a2", None, '{"UID":"a2","x":1.0}'),
        (2, None, "not_json", None),
        (3, None, "not_json", "5"),
    ]
    assert [row[:3] for row in by_file["lines.json"]] == [
        (0, "l1", None),
        (1, None, "not_json"),
        (2, "l2", None),
    ]
    assert [row[:3] for row in by_file["array_lines.json"]] == [
        (0, "b1", None),
        (1, "b2", None),
        (2 * 2**20, "b3", None),
    ]
    assert [row[:3] for row in by_file["trailing.json"]] == [(0, None, "not_json")]


def shape(*names: str) -> Shape:
    return Shape({name: Shape() for name in names})
