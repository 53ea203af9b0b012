"""Parse CSV text of a dialect by pyarrow, and find the names of its columns."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
from pyarrow import csv

if TYPE_CHECKING:
    from profile_lib.events.mapping import CsvDialect

HEADER_BYTES = (2**16, 2**20, 2**24)  # the first bytes that are parsed to find the header


def read_names(stream: BinaryIO, dialect: "CsvDialect") -> list[str]:
    """Return the columns of a file: its header, declared names, or _c0, _c1, ….

    They are its header, or the declared names, or _c0, _c1, …. A name that repeats gets a suffix,
    such as `a_2`. Returns nothing for a file without text.
    """
    if dialect.names is not None:
        return list(dialect.names)
    text, row = b"", list[str]()
    for n_bytes in HEADER_BYTES:
        text += stream.read(n_bytes - len(text))
        row, is_complete = _first_row(text, dialect)
        if is_complete or len(text) < n_bytes:
            break
    if text.strip() and not row:
        raise pa.ArrowInvalid("the text has no row")
    if not dialect.header:
        return [f"_c{n}" for n in range(len(row))]
    names, counts = [value.strip() for value in row], Counter[str]()
    for number, name in enumerate(names):
        counts[name] += 1
        names[number] = f"{name}_{counts[name]}" if counts[name] > 1 else name
    return names


def _first_row(text: bytes, dialect: "CsvDialect") -> tuple[list[str], bool]:
    """Return the first row of a text, and whether another one follows it."""
    if not text.strip():
        return [], False
    text += b"\n"  # without it, pyarrow takes the only line of a file for an unfinished one
    block_size, others = len(text) + 1, list[csv.InvalidRow]()
    options = csv.ReadOptions(autogenerate_column_names=True, block_size=block_size)
    types = csv.ConvertOptions(check_utf8=False)
    try:
        parse_options = _parse_options(dialect, lambda row: "skip")
        parsed = csv.open_csv(pa.BufferReader(text), options, parse_options, types)
    except pa.ArrowInvalid:  # a quote is open at the end of the text
        return [], False
    batch = next(
        open_batches(pa.BufferReader(text), dialect, len(parsed.schema), block_size, others)
    )
    row = [column[0].as_py() for column in batch.columns]
    return row, batch.num_rows > 1 or bool(others)


def open_batches(
    text: pa.NativeFile,
    dialect: "CsvDialect",
    n_columns: int,
    block_size: int,
    invalid_rows: list[csv.InvalidRow],
) -> Iterator[pa.RecordBatch]:
    """Yield batches of string columns named by their number; collect rows of other lengths."""

    def collect(row: csv.InvalidRow) -> str:
        invalid_rows.append(row)
        return "skip"

    numbers = [str(number) for number in range(n_columns)]
    reader = csv.open_csv(
        text,
        csv.ReadOptions(
            use_threads=False,  # only then a row's number is known
            column_names=numbers,
            block_size=block_size,
        ),
        _parse_options(dialect, collect),
        csv.ConvertOptions(
            column_types=dict.fromkeys(numbers, pa.string()),
            null_values=[],
            strings_can_be_null=False,
        ),
    )
    yield from reader


def _parse_options(
    dialect: "CsvDialect", collect: Callable[[csv.InvalidRow], str]
) -> csv.ParseOptions:
    escape = None if dialect.escape == dialect.quote else dialect.escape
    return csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        double_quote=dialect.quote is not None and escape is None,
        escape_char=escape or False,
        newlines_in_values=dialect.multi_line,
        invalid_row_handler=collect,
    )
