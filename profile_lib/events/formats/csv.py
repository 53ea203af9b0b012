"""Read CSV files of any dialect, by the names in each file's header."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from profile_lib.events.files.names import match_name
from profile_lib.events.files.streams import BLOCK_BYTES, buffered, open_bytes, to_utf8
from profile_lib.events.formats.csv_dialect import open_batches, read_names
from profile_lib.events.formats.csv_quotes import is_marked, mark_open_quotes, restore_row
from profile_lib.events.formats.registry import Inspection, source_format
from profile_lib.events.formats.text import TextFormat, TextRows
from profile_lib.spark.column_shapes import Shape

if TYPE_CHECKING:
    from profile_lib.events.mapping import CsvDialect, InputSpec

# A row must fit into a block, so that a file with a longer one is read again with a larger block.
BLOCK_SIZES = (BLOCK_BYTES, 2**26, 2**30)
WRONG_FIELDS = "wrong_number_of_fields"
OPEN_QUOTE = "quote_not_closed"
FIELD_SEPARATOR = "\x1f"


@source_format("csv")
class Csv(TextFormat):
    """Read columns as strings; an empty field is an empty string."""

    unreadable = (
        "its content is not CSV of the mapping's dialect, or a quote is not closed; if quotes are "
        "ordinary characters, set csv.quote: null, and if a field holds no line breaks, "
        "csv.multi_line: false"
    )

    def inspect(self, path: str, spec: "InputSpec") -> Inspection:
        """Return the names in the header, or those that the mapping gives."""
        with open_bytes(path) as stream, self.explain_content(path):
            return Inspection(read_names(to_utf8(stream, spec.encoding), spec.csv))

    def columns(self, columns: Shape) -> list[str]:
        """Return the names of all wanted columns."""
        return list(columns.fields)

    def rows(
        self, open_text: Callable[[], BinaryIO], spec: "InputSpec", columns: Sequence[str]
    ) -> Iterator[TextRows]:
        """Yield the rows; one with another number of fields than the header has a problem."""
        names = read_names(open_text(), spec.csv)
        if not names:
            return
        n_read = 0
        for block_size in BLOCK_SIZES:
            try:
                for parts in _read_rows(open_text(), spec.csv, names, columns, block_size):
                    for rows in parts:
                        is_new = rows.positions >= n_read
                        yield rows if is_new.all() else _filter(rows, is_new)
                    n_read = max(n_read, *(int(r.positions.max(initial=-1)) + 1 for r in parts))
                return
            except pa.ArrowInvalid as error:
                if "straddling" not in str(error) or block_size == BLOCK_SIZES[-1]:
                    raise


def _read_rows(
    stream: BinaryIO,
    dialect: "CsvDialect",
    names: Sequence[str],
    wanted: Sequence[str],
    block_size: int,
) -> Iterator[tuple[TextRows, ...]]:
    """Yield valid rows of a file and the invalid ones among them.

    A row's position is its number from 0; that of a header is -1.
    """
    invalid: list[csv.InvalidRow] = []
    text = pa.PythonFile(buffered(mark_open_quotes(stream, dialect, len(names))), "r")
    index = [match_name(name, names) for name in wanted]
    offset = 1 + int(dialect.header)  # pyarrow counts the rows of a file from 1
    next_number = 1 - offset
    for batch in open_batches(text, dialect, len(names), block_size, invalid):
        taken = np.array([row.number - offset for row in invalid], dtype=np.int64)
        numbers = np.arange(next_number, next_number + batch.num_rows + len(taken))
        numbers = np.setdiff1d(numbers, taken, assume_unique=True)[: batch.num_rows]
        next_number = int(numbers.max(initial=next_number - 1)) + 1
        n_passed = int((taken < next_number).sum())
        valid = _valid_rows(batch, names, index, numbers)
        yield valid, _invalid_rows(invalid[:n_passed], offset, len(wanted), dialect)
        del invalid[:n_passed]
    yield (_invalid_rows(invalid, offset, len(wanted), dialect),)


def _valid_rows(
    batch: pa.RecordBatch, names: Sequence[str], index: Sequence[int | None], numbers: np.ndarray
) -> TextRows:
    n = batch.num_rows
    columns = [pa.nulls(n, pa.string()) if i is None else batch.column(i) for i in index]
    rows = TextRows(columns, numbers, _join_row(batch, names))
    if n and is_marked(rows.rows[-1].as_py()):  # only the last row of a file can be
        rows.problems = pa.array([None] * (n - 1) + [OPEN_QUOTE], pa.string())
        before = pa.array([*range(n - 1), None], pa.int64())
        rows.columns = [column.take(before) for column in columns]
    return rows


def _invalid_rows(
    rows: Sequence[csv.InvalidRow], offset: int, n_columns: int, dialect: "CsvDialect"
) -> TextRows:
    texts = [restore_row(row.text, dialect) for row in rows]
    problems = [OPEN_QUOTE if is_marked(row.text) else WRONG_FIELDS for row in rows]
    found = TextRows(
        [pa.nulls(len(rows), pa.string())] * n_columns,
        np.array([row.number - offset for row in rows], dtype=np.int64),
        pa.array(texts, pa.string()),
        pa.array(problems, pa.string()),
    )
    return _filter(found, np.array([text != "" for text in texts], dtype=bool))


def _join_row(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    """Return one text per row that does not depend on the order of the columns."""
    order = sorted(range(len(names)), key=lambda i: names[i])
    if len(order) == 1:
        return batch.column(order[0])
    separator = pa.scalar(FIELD_SEPARATOR)
    return pc.binary_join_element_wise(*[batch.column(i) for i in order], separator)


def _filter(rows: TextRows, mask: np.ndarray) -> TextRows:
    keep = pa.array(mask)
    columns = [column.filter(keep) for column in rows.columns]
    positions = rows.positions[mask]
    return TextRows(columns, positions, rows.rows.filter(keep), rows.problems.filter(keep))
