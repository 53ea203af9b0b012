"""Check that no file stops the readers, and that none of its rows is lost."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from profile_lib.config.settings import load_settings
from profile_lib.errors import InputError
from profile_lib.events.files.inspection import inspect_file
from profile_lib.events.files.streams import open_bytes, to_utf8
from profile_lib.events.formats.registry import FORMATS, POSITION, ROW
from profile_lib.events.formats.text import TextFormat, read_file
from profile_lib.events.mapping import InputSpec
from profile_lib.events.readers import check_files, find_files, read_rows
from profile_lib.pipelines.event_source import open_source
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf
from tests.events.odd_files import (
    COLUMNS,
    PARQUET_TYPES,
    SECRET,
    OddFile,
    csv_files,
    json_files,
    odd_files,
    parquet_files,
)
from tests.events.source_files import write_mapping

pytestmark = pytest.mark.trial

MAX_SECONDS = 20
ARRIVAL = datetime(2024, 3, 2, tzinfo=UTC)
LINE_BREAK = re.compile(rb"\r\n|\r|\n")


@contextmanager
def time_limit() -> Iterator[None]:
    """Interrupt a body that does not end."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {MAX_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def check_sentence(sentence: str, path: Path) -> None:
    """Check that an error names the file and shows nothing of its content."""
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    assert SECRET not in sentence
    assert len(sentence) < 400


def read_positions(path: Path, file: OddFile) -> list[int]:
    """Return the positions of the rows that a worker reads."""
    reader = FORMATS.get(file.spec.format)()
    assert isinstance(reader, TextFormat)
    wanted = list(COLUMNS) if file.spec.format == "csv" else []
    positions: list[int] = []
    for batch in read_file(reader, str(path), ARRIVAL, file.spec, wanted):
        batch.validate(full=True)
        positions += batch.column(POSITION).to_pylist()
    return positions


def count_lines(path: Path, file: OddFile) -> int:
    """Return the number of lines that are not empty."""
    with open_bytes(str(path)) as stream:
        text = to_utf8(stream, file.spec.encoding).read()
    if file.spec.format == "jsonl":
        return sum(bool(line.strip()) for line in text.split(b"\n"))
    return sum(bool(line) for line in LINE_BREAK.split(text))


@settings(
    max_examples=2_000,
    deadline=timedelta(seconds=MAX_SECONDS),
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(file=odd_files)
def test_a_worker_reads_every_row_of_any_file_or_refuses_it_in_one_sentence(file, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "odd_file"
    path.write_bytes(file.content)
    with time_limit():
        _, names, _, problem = inspect_file(str(path), file.spec, FORMATS.get(file.spec.format)())
        if problem is not None:
            check_sentence(problem, path)
        elif file.spec.format != "parquet":
            check_rows(path, file, names)


def check_rows(path: Path, file: OddFile, names: list[str]) -> None:
    """Check that each row has a number of its own, and that all lines are read."""
    try:
        positions = read_positions(path, file)
    except InputError as error:
        check_sentence(str(error), path)
        return
    assert sorted(positions) == list(range(len(positions)))
    dialect, n_lines = file.spec.csv, count_lines(path, file)
    if file.spec.format == "csv" and names and dialect.quote is None and dialect.escape is None:
        assert len(positions) == n_lines - dialect.header
    if file.spec.format == "jsonl":
        assert len(positions) in (1, n_lines)  # 1 if the file is one array


def draw_files(strategy: st.SearchStrategy[OddFile], n: int) -> list[OddFile]:
    """Draw different files, the same in each run."""
    files: list[OddFile] = []

    @settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(file=strategy)
    def collect(file: OddFile) -> None:
        files.append(file)

    collect()
    return files


def write_readable(folder: Path, files: list[OddFile], spec: InputSpec) -> int:
    """Write the files that inspection accepts as an input; return the number of their rows."""
    folder.mkdir()
    n_rows = 0
    for number, file in enumerate(files):
        path, odd = folder / f"{number}.odd", file._replace(spec=spec)
        path.write_bytes(file.content)
        source_format = FORMATS.get(spec.format)()
        if inspect_file(str(path), spec, source_format)[3] is not None or has_arrays(path, odd):
            path.unlink()
        elif spec.format == "parquet":
            n_rows += read_parquet_rows(path)
        else:
            n_rows += len(read_positions(path, odd))
    return n_rows


def has_arrays(path: Path, file: OddFile) -> bool:
    """Return whether some rows are arrays, which become as many rows as they have elements."""
    if file.spec.format != "jsonl":
        return False
    batches = read_file(FORMATS.get("jsonl")(), str(path), ARRIVAL, file.spec, [])
    return any(text.lstrip().startswith("[") for b in batches for text in b[ROW].to_pylist())


def read_parquet_rows(path: Path) -> int:
    """Return the number of rows; a file whose pages are damaged is removed."""
    try:
        return pq.read_table(path).num_rows
    except (pa.ArrowException, OSError):
        path.unlink()
        return 0


BATCHES = {
    "csv": (csv_files(), {"csv": {"header": False, "names": list(COLUMNS)}}),
    "jsonl": (json_files(), {}),
    "parquet": (parquet_files(PARQUET_TYPES), {}),
}


@pytest.mark.parametrize("format_name", BATCHES)
def test_each_row_of_some_hundred_files_is_kept_rejected_or_left_out(spark, tmp_path, format_name):
    strategy, changes = BATCHES[format_name]
    spec = InputSpec.model_validate({"format": format_name, "where": "price <> '0'"} | changes)
    n_rows = write_readable(tmp_path / "raw", draw_files(strategy, 300), spec)
    columns = {"user_id": "uid", "event_ts": "ts", "event_type": "act", "text": "text"}
    columns |= {"item_id": "item", "price": "price"}
    write_mapping(
        tmp_path,
        inputs={"events": spec.model_dump(exclude_defaults=True)},
        columns=columns,
        event_types={"view": "view", "buy": None},
    )
    values = {"mapping": f"{tmp_path}/shop.yaml", "inputs": {"events": f"{tmp_path}/raw"}}
    overrides = [
        f"ingest.{k}={json.dumps(v)}" for k, v in (values | {"pseudonym_key": "k"}).items()
    ]
    with session_conf(spark, LENIENT_CONF):
        source = open_source(spark, load_settings("dev", overrides).ingest)
        (plan,) = source.event_plans
        files = find_files(spark, plan, f"{tmp_path}/raw")
        check_files(plan, files)
        judged = source.judge_rows(read_rows(spark, plan, files), plan, {}, ARRIVAL)
        counts = {row["status"]: row["count"] for row in judged.groupBy("status").count().collect()}
    assert n_rows > 100
    assert sum(counts.values()) == n_rows
    assert set(counts) <= {"kept", "rejected", "left_out"}
