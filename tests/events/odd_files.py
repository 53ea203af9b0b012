"""Draw files as no program should write them, for the tests of readers."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from profile_lib.events.mapping import InputSpec

COLUMNS = ("uid", "ts", "act", "item", "price", "text")
SECRET = "5ecret"  # part of many values; no error may show it
COMPRESSIONS: list[Callable[[bytes], bytes]] = [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    lambda content: pa.compress(content, "zstd", asbytes=True),
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "gb18030", "utf-7"]

odd_numbers = st.sampled_from(
    ["0", "-1", "1e400", "9" * 400, "NaN", "-Infinity", "1,299.00", "0x1F", "١٢", "1_000", "--5"]
)
odd_times = st.sampled_from(
    [
        "2024-03-01T10:00:00Z", "2024-03-31 02:30:00", "12:30", "2016", "9999-12-31T23:59:59Z",
        "0000-00-00", "1709287260", "99999-01-01", "2024-03-01T10:00:00.123456789+05:30", "epoch",
    ]
)  # fmt: skip
odd_texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc", "Cn"]), max_size=5),  # lone surrogates, NUL, …
    st.sampled_from(
        ['"', '""', '"open', "\\", ",", "\r\n", "\x1f", "\x1e", "'", "}{", "[", "\x00"]
    ),
    st.integers(0, 9).map(lambda n: f"{SECRET} {n}"),
)
values = st.one_of(odd_texts, odd_numbers, odd_times, st.sampled_from(["view", "buy", "u1", ""]))
json_values = st.recursive(
    st.one_of(values, st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(values, inner, max_size=3),
    max_leaves=6,
)


class OddFile(NamedTuple):
    """A file's content and the input that it is read as."""

    content: bytes
    spec: InputSpec


@st.composite
def csv_files(draw: st.DrawFn) -> OddFile:
    """Draw CSV of any dialect, with fields too many, too few, too long or not closed."""
    has_header, delimiter = draw(st.booleans()), draw(st.sampled_from(",;\t|"))
    dialect = {
        "delimiter": delimiter,
        "header": has_header,
        "names": None if has_header else list(COLUMNS),
        "quote": draw(st.sampled_from(['"', "'", None])),
        "escape": draw(st.sampled_from([None, None, "\\"])),
        "multi_line": draw(st.booleans()),
    }
    header = draw(st.sampled_from([COLUMNS, COLUMNS[::-1], (*COLUMNS, "uid"), [*COLUMNS, "", " "]]))
    rows = draw(st.lists(st.lists(values, min_size=4, max_size=8), max_size=8))
    if draw(st.integers(0, 60)) == 0:
        header = [*COLUMNS, *(f"c{n}" for n in range(10_000))]
    lines = [delimiter.join(row) for row in rows]
    if has_header:
        lines.insert(0, delimiter.join(header))
    text = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \n"])).join(lines)
    return OddFile(draw(mutated(text)), _spec("csv", draw(st.sampled_from(ENCODINGS)), dialect))


@st.composite
def json_files(draw: st.DrawFn) -> OddFile:
    """Draw JSON lines and arrays, with keys in other cases, nested nonsense and torn lines."""
    keys = st.sampled_from([*COLUMNS, "UID", "Uid", "a.b", ""])
    objects = draw(st.lists(st.dictionaries(keys, json_values, max_size=6), max_size=8))
    lines = [json.dumps(value) for value in objects]
    depth = draw(st.sampled_from([0] * 20 + [100, 5_000]))
    if depth:
        lines.append('{"uid": ' + "[" * depth + "]" * depth + "}")
    joined = draw(st.sampled_from(["\n", "\r\n", "\n\n", "", ",", " \n "])).join(lines)
    shapes = [joined, "[" + ",".join(lines) + "]", json.dumps(objects, indent=2), f"torn\n{joined}"]
    text = draw(st.sampled_from(shapes))
    return OddFile(draw(mutated(text)), _spec("jsonl", draw(st.sampled_from(ENCODINGS)), {}))


PARQUET_TYPES = {
    "uid": pa.string(), "ts": pa.timestamp("ns"), "act": pa.string(), "item": pa.int64(),
    "price": pa.decimal128(38, 9), "text": pa.null(),
}  # fmt: skip


@st.composite
def parquet_files(draw: st.DrawFn, fixed_types: dict[str, pa.DataType] | None = None) -> OddFile:
    """Draw Parquet of odd or fixed types, intact or damaged."""
    types = [
        pa.string(), pa.int64(), pa.float64(), pa.timestamp("ns"), pa.timestamp("ms", "UTC"),
        pa.decimal128(38, 9), pa.bool_(), pa.null(), pa.uint64(), pa.date32(), pa.binary(),
    ]  # fmt: skip
    columns = {
        name: pa.nulls(2, fixed_types[name] if fixed_types else draw(st.sampled_from(types)))
        for name in draw(st.permutations(COLUMNS))
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    content = sink.getvalue().to_pybytes()
    return OddFile(draw(damaged(content)), _spec("parquet", "utf-8", {}))


odd_files = st.one_of(csv_files(), csv_files(), json_files(), json_files(), parquet_files())


def _spec(format_name: str, encoding: str, dialect: dict) -> InputSpec:
    values = {"format": format_name, "encoding": encoding, "csv": dialect}
    return InputSpec.model_validate(values if format_name == "csv" else values | {"csv": {}})


@st.composite
def mutated(draw: st.DrawFn, text: str) -> bytes:
    """Draw the bytes of a text in some encoding, with a long field at times, and damaged."""
    if draw(st.integers(0, 100)) == 0:
        text += "x" * 1_000_000
    encoding = draw(st.sampled_from(ENCODINGS))
    return draw(damaged(text.encode(encoding, draw(st.sampled_from(["replace", "ignore"])))))


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw what is left of a content: cut off, mixed, overwritten, compressed or as it was."""
    for damage in draw(st.lists(st.integers(0, 5), max_size=2)):
        at = draw(st.integers(0, len(content)))
        match damage:
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + draw(st.binary(max_size=8)) + content[at:]
            case 2:
                content = content[:at] + b"\x00" * draw(st.integers(1, 9)) + content[at + 3 :]
            case 3:
                content = content + content[at:]
            case 4 | 5:
                content = draw(st.sampled_from(COMPRESSIONS))(content)
    return content
