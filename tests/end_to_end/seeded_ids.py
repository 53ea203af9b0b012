"""Replace the ids of a simulated shop by tokens, and search files for them.

A token is `zq`, the letter of its kind and twelve hexadecimal digits, so that one regular
expression finds every one of them, in upper or lower case.
"""

import gzip
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

USER, SESSION, ORDER, EVENT, MAIL = "uvoem"
ID_COLUMNS = {"uid": USER, "visit": SESSION, "order": ORDER, "event_id": EVENT}  # of raw events
TEXT_COLUMNS = ("query", "review")  # get an e-mail address appended
ZSTD_SUFFIXES = (".changelog", ".delta", ".snapshot")  # of Spark's state stores
TOKEN = re.compile(rb"zq([uvoem])[0-9a-f]{12}", re.IGNORECASE)


def make_token(kind: str, value: object) -> str:
    """Return the token of a value."""
    return f"zq{kind}{hashlib.sha256(f'{kind}{value}'.encode()).hexdigest()[:12]}"


def seed_row(row: dict[str, Any]) -> dict[str, Any]:
    """Replace the ids of a raw event or user; every third user has an e-mail address as id."""
    seeded = dict(row)
    for column, kind in ID_COLUMNS.items():
        if (value := row.get(column)) is not None:
            seeded[column] = make_token(kind, value)
    if seeded.get("uid") and int(seeded["uid"][3:], 16) % 3 == 0:
        seeded["uid"] += "@shop.example"
    for column in TEXT_COLUMNS:
        if row.get(column):
            address = f"{make_token(MAIL, (row.get('uid'), row['visit']))}@mail.example"
            seeded[column] = f"{row[column]} {address}"
    return seeded


def seed_files(source: Path, target: Path) -> dict[str, set[str]]:
    """Copy gzipped JSON lines with seeded ids; return all tokens by kind."""
    target.mkdir(parents=True)
    tokens: dict[str, set[str]] = {}
    for file in sorted(source.glob("*.gz")):
        rows = map(json.loads, gzip.decompress(file.read_bytes()).decode().splitlines())
        text = "\n".join(json.dumps(seed_row(row), ensure_ascii=False) for row in rows)
        for match in TOKEN.finditer(text.encode()):
            tokens.setdefault(match[1].decode(), set()).add(match[0].decode())
        (target / file.name).write_bytes(gzip.compress(text.encode(), mtime=0))
    return tokens


def contents(file: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, and those of what it holds in compressed form."""
    raw = file.read_bytes()
    yield raw
    if file.suffix == ".gz":
        yield gzip.decompress(raw)
    elif file.suffix in ZSTD_SUFFIXES:
        yield pa.CompressedInputStream(pa.BufferReader(raw), "zstd").read()
    elif zipfile.is_zipfile(io.BytesIO(raw)):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif file.suffix == ".parquet":
        for column in pq.read_table(file).columns:
            for chunk in column.chunks:
                yield from map(_join_values, _leaves(chunk))


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    """Yield the arrays of strings and bytes in an array of any type."""
    if pa.types.is_dictionary(array.type):
        yield from _leaves(array.dictionary)
    elif pa.types.is_map(array.type):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _leaves(array.flatten())
    elif pa.types.is_struct(array.type):
        for part in array.flatten():
            yield from _leaves(part)
    elif pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        yield array


def _join_values(array: pa.Array) -> bytes:
    values = pc.unique(array.drop_null()).cast(pa.binary()).to_pylist()
    return b"\n".join(values)


def find_tokens(files: Iterable[Path], pattern: re.Pattern[bytes] = TOKEN) -> dict[Path, set[str]]:
    """Return what the pattern matches in each file, in lower case; files without are left out."""
    found = {
        file: {
            match[0].decode("latin-1").lower()
            for part in contents(file)
            for match in pattern.finditer(part)
        }
        for file in files
    }
    return {file: tokens for file, tokens in found.items() if tokens}
