"""Read the rows of a sample into columns, whatever the format of the files."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from profile_lib.errors import InputError
from profile_lib.events.drafting.columns import Column, Nested, sql_of
from profile_lib.events.drafting.dialects import find_dialect
from profile_lib.events.drafting.heads import Head, Text, decode, find_format, is_binary
from profile_lib.events.drafting.nesting import expand_json_texts, unnest
from profile_lib.events.files.streams import open_bytes
from profile_lib.events.formats.csv import Csv, read_names
from profile_lib.events.mapping import CsvDialect, InputSpec

DECODER = json.JSONDecoder(parse_float=str, parse_int=str)
BETWEEN_OBJECTS = re.compile(r"[\s,\[\]]*")


@dataclass(frozen=True)
class Sample:
    """Rows of a source, how its files are read, and the certainty of that."""

    spec: InputSpec
    nested: Nested
    certainties: Mapping[str, float] = field(default_factory=dict)  # key of the input → 0 to 1
    n_invalid: int = 0  # rows with another number of fields than the header
    names: Sequence[str] = ()  # columns of CSV, as the file or their numbers name them


def read_sample(heads: Sequence[Head], n_rows: int) -> Sample:
    """Read up to `n_rows` rows from the heads of files of one format.

    Raises InputError if there is nothing to read, or if it is neither CSV, JSON nor Parquet.
    """
    heads = [head for head in heads if head.content.strip()]
    if not heads:
        raise InputError("draft.path: all files are empty; wanted one with rows")
    per_file = -(-n_rows // len(heads))
    if any(head.is_parquet for head in heads):
        rows = [row for h in heads if h.is_parquet for row in read_parquet_rows(h.path, per_file)]
        return sample_rows("parquet", rows)
    for head in heads:
        if is_binary(head.content):
            raise InputError(
                f"draft.path: {head.path} is neither text nor Parquet; wanted CSV, JSON, Parquet "
                "or Delta; convert it first"
            )
    texts = [decode(head.content) for head in heads]
    if find_format(heads, texts) == "jsonl":
        sample = _read_json(heads, texts, per_file)
    else:
        sample = _read_csv(heads, texts, per_file)
    spec = sample.spec.model_copy(update={"encoding": texts[0].encoding})
    certainties = {**sample.certainties, "encoding": texts[0].certainty}
    return replace(sample, spec=spec, certainties=certainties)


def sample_rows(format: str, rows: Sequence[Mapping[str, Any]]) -> Sample:
    """Return a sample of nested rows of any format."""
    return Sample(InputSpec(format=format), expand_json_texts(unnest(rows)))


def read_parquet_rows(path: str, n_rows: int) -> list[dict[str, Any]]:
    """Read the first rows of a Parquet file. Raises InputError if it cannot be read."""
    with open_bytes(path) as stream:
        try:
            batches = pq.ParquetFile(stream).iter_batches(batch_size=n_rows)
            batch = next(batches, None)
        except pa.ArrowInvalid as error:
            raise InputError(f"draft.path: {path} cannot be read: it is not Parquet") from error
    return [] if batch is None else batch.to_pylist()


def read_json_rows(text: str, n_rows: int) -> list[dict[str, Any]]:
    """Read the first objects of JSON lines or of an array; invalid lines are skipped.

    >>> read_json_rows('[{"a": 1}, {"a": 2.50}, {"a"', 9)
    [{'a': '1'}, {'a': '2.50'}]
    """
    rows: list[dict[str, Any]] = []
    start = _skip(text, 0)
    while start < len(text) and len(rows) < n_rows:
        try:
            value, end = DECODER.raw_decode(text, start)
        except json.JSONDecodeError:
            value, end = None, text.find("\n", start) + 1 or len(text)
        rows += [value] if isinstance(value, dict) else []
        start = _skip(text, end)
    return rows


def _skip(text: str, start: int) -> int:
    match = BETWEEN_OBJECTS.match(text, start)
    return match.end() if match else start


def _read_json(heads: Sequence[Head], texts: Sequence[Text], n_rows: int) -> Sample:
    rows = [row for text in texts for row in read_json_rows(text.text, n_rows)]
    if not rows:
        raise InputError(
            f"draft.path: found no whole JSON object in the first {len(heads[0].content):,} bytes "
            f"of {heads[0].path}; raise draft.max_bytes, or check that it is JSON"
        )
    return sample_rows("jsonl", rows)


def _read_csv(heads: Sequence[Head], texts: Sequence[Text], n_rows: int) -> Sample:
    found = find_dialect(texts[0].text)
    dialect = found.dialect
    names = read_names(io.BytesIO(texts[0].text.encode()), dialect)
    tables = [
        _read_table(_whole_lines(text.text) if head.is_cut else text.text, dialect, names, n_rows)
        for head, text in zip(heads, texts, strict=True)
    ]
    frame = pd.concat([table for table, _ in tables], ignore_index=True)
    columns = [Column(name, sql_of((name,)), frame[name], is_csv=True) for name in frame.columns]
    spec = InputSpec(format="csv", csv=dialect)
    nested = expand_json_texts(Nested(len(frame), tuple(columns)))
    certainties = {"delimiter": found.certainty, "header": found.header_certainty}
    return Sample(spec, nested, certainties, sum(n for _, n in tables), names)


def _whole_lines(text: str) -> str:
    return text[: text.rfind("\n") + 1] or text


def _read_table(
    text: str, dialect: CsvDialect, names: Sequence[str], n_rows: int
) -> tuple[pd.DataFrame, int]:
    """Read the first rows of a text; return them, and the number of invalid ones."""
    spec = InputSpec(format="csv", csv=dialect)
    tables, n_invalid = [], 0
    for rows in Csv().rows(lambda: io.BytesIO(text.encode()), spec, names):
        is_valid = rows.problems.is_null()
        n_invalid += len(rows.rows) - is_valid.true_count
        table = pa.table([column.filter(is_valid) for column in rows.columns], names=list(names))
        tables.append(table.slice(0, n_rows))
        if sum(map(len, tables)) >= n_rows:
            break
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in names}), n_invalid
    return pa.concat_tables(tables).slice(0, n_rows).to_pandas(), n_invalid
