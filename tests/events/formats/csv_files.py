"""Read CSV content by the code that runs in Spark's workers."""

from datetime import UTC, datetime
from pathlib import Path

from profile_lib.events.files.inspection import inspect_file
from profile_lib.events.formats.csv import Csv
from profile_lib.events.formats.registry import FORMATS, POSITION, PROBLEM
from profile_lib.events.formats.text import read_file
from profile_lib.events.mapping import InputSpec

Row = tuple[object, ...]


def csv_spec(encoding: str = "utf-8", **dialect: object) -> InputSpec:
    """Declare an input of this dialect."""
    return InputSpec.model_validate({"format": "csv", "encoding": encoding, "csv": dialect})


def read_csv(folder: Path, content: bytes, columns: list[str], spec: InputSpec) -> list[Row]:
    """Return each row's values, number and problem, in the order of the file."""
    rows = read_raw_rows(folder, content, columns, spec)
    return [(*(row[name] for name in columns), row[POSITION], row[PROBLEM]) for row in rows]


def read_raw_rows(folder: Path, content: bytes, columns: list[str], spec: InputSpec) -> list[dict]:
    """Return the rows, with RAW_COLUMNS, in the order of the file."""
    file = folder / "events.csv"
    file.write_bytes(content)
    batches = read_file(Csv(), str(file), datetime(2024, 3, 2, tzinfo=UTC), spec, columns)
    rows = [row for batch in batches for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: row[POSITION])


def find_names(folder: Path, content: bytes, spec: InputSpec) -> list[str]:
    """Return the names of the columns that inspection finds."""
    file = folder / "events.csv"
    file.write_bytes(content)
    _, names, _, problem = inspect_file(str(file), spec, FORMATS.get(spec.format)())
    assert problem is None
    return names
