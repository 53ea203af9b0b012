"""Take nested rows of a sample apart into columns and arrays."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd

from profile_lib.events.drafting.columns import ArrayOfObjects, Column, Nested, Path, sql_of
from profile_lib.events.input_plan import PARAM
from profile_lib.events.mapping import KeyedArray

MAX_COLUMNS = 2_000  # with more, the keys of an object are data
KEY_NAMES = ("key", "name", "k")
N_PROBED_TEXTS = 50  # values of a text column that are tried as JSON
Elements = Sequence[tuple[int, Mapping[str, Any]]]  # number of the row, and an element


@dataclass
class _Cells:
    """Values by path and number of the row."""

    values: dict[Path, dict[int, Any]] = field(default_factory=lambda: defaultdict(dict))
    arrays: dict[Path, list[tuple[int, Mapping[str, Any]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    spellings: dict[str, str] = field(default_factory=dict)  # in lower case → the first one

    def add(self, row: int, path: Path, value: Any) -> None:
        """Add a value and all below it; the case of names does not count."""
        if isinstance(value, Mapping):
            for name, inner in value.items():
                spelling = str(name) if path else self.spellings.setdefault(name.lower(), str(name))
                self.add(row, (*path, spelling), inner)
        elif isinstance(value, list):
            objects = [inner for inner in value if isinstance(inner, Mapping)]
            self.arrays[path] += [(row, inner) for inner in objects]
        elif value is not None and len(self.values) < MAX_COLUMNS:
            self.values[path][row] = value


def unnest(rows: Sequence[Mapping[str, Any]], prefix: str = "") -> Nested:
    """Take rows apart; `prefix` is the name of a row in expressions, or ''."""
    cells = _Cells()
    for number, row in enumerate(rows):
        cells.add(number, (), row)
    columns = [
        _column(path, by_row, len(rows), prefix) for path, by_row in cells.values.items() if by_row
    ]
    keyed_path = max(
        (path for path, elements in cells.arrays.items() if _is_keyed(elements)),
        key=lambda path: len(cells.arrays[path]),
        default=None,
    )
    keyed = None
    if keyed_path is not None:
        elements = cells.arrays.pop(keyed_path)
        keyed, params = _read_keyed(keyed_path, elements, len(rows))
        columns += params
    names = {column.path.split(".")[0] for column in columns}
    arrays = [
        _array(path, elements, names)
        for path, elements in cells.arrays.items()
        if elements and not _is_keyed(elements)
    ]
    return Nested(len(rows), tuple(columns), tuple(arrays), keyed)


def _column(path: Path, by_row: Mapping[int, Any], n_rows: int, prefix: str) -> Column:
    first = next(iter(by_row.values()))
    texts = pd.Series({row: _to_text(value) for row, value in by_row.items()}, dtype=object)
    sql = sql_of((prefix, *path) if prefix else path)
    return Column(".".join(path), sql, texts.reindex(range(n_rows)), type(first))


def _to_text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat(sep=" ")
        case date():
            return value.isoformat()
    return str(value)


def _is_keyed(elements: Elements) -> bool:
    """Return whether the elements consist of a key and a value."""
    names = {name for _, element in elements for name in element}
    others = [name for name in names if name not in KEY_NAMES]
    is_value = [name.startswith("value") for name in others]
    return bool(others) and len(others) < len(names) and all(is_value)


def _read_keyed(path: Path, elements: Elements, n_rows: int) -> tuple[KeyedArray, list[Column]]:
    """Return the array of keys and values, and a column per key."""
    key = next(name for name in KEY_NAMES if name in elements[0][1])
    by_key: dict[str, dict[int, str]] = defaultdict(dict)
    paths: dict[Path, None] = {}
    for row, element in elements:
        value = {name: inner for name, inner in element.items() if name != key}
        leaf = next(_leaves(value), None)
        if leaf is not None and PARAM.fullmatch(f"param('{element.get(key)}')"):
            paths[leaf[0]] = None
            by_key[str(element[key])][row] = _to_text(leaf[1])
    default = KeyedArray(column="").values
    values = [".".join(value_path) for value_path in paths]
    keyed = KeyedArray(
        column=".".join(path), key=key, values=default if set(values) <= set(default) else values
    )
    params = [
        Column(name, f"param('{name}')", pd.Series(texts, dtype=object).reindex(range(n_rows)))
        for name, texts in by_key.items()
    ]
    return keyed, params


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the values inside an object that are neither objects, arrays nor null."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    elif value is not None and not isinstance(value, list):
        yield path, value


def _array(path: Path, elements: Elements, names: set[str]) -> ArrayOfObjects:
    alias = alias_of(path[-1] if path else "", names)
    columns = unnest([element for _, element in elements], alias).columns
    return ArrayOfObjects(path, columns, len({row for row, _ in elements}), len(elements), alias)


def alias_of(name: str, names: set[str]) -> str:
    """Return a name for the elements of an array that no column has.

    >>> alias_of("items", {"items", "uid"}), alias_of("events", {"event"}), alias_of("data", set())
    ('item', 'one_event', 'one_data')
    """
    word = re.sub(r"\W", "", name) or "element"
    singular = word.removesuffix("s")
    return singular if singular not in {*names, name} else f"one_{singular}"


def expand_json_texts(nested: Nested) -> Nested:
    """Replace text columns that hold JSON by the columns and arrays inside them."""
    columns: list[Column] = []
    arrays = list(nested.arrays)
    for column in nested.columns:
        parsed = parse_json_texts(column)
        if parsed is None:
            columns.append(column)
            continue
        name = column.path
        inner = unnest([{} if value is None else {name: value} for value in parsed])
        columns += inner.columns
        arrays += inner.arrays
    return Nested(nested.n_rows, tuple(columns), tuple(arrays), nested.keyed)


def load_json(text: str) -> Any:
    """Parse JSON; numbers stay texts, as the reader of JSON keeps them."""
    return json.loads(text, parse_float=str, parse_int=str)


def parse_json_texts(column: Column) -> list[Any] | None:
    """Parse a text column of JSON objects or arrays; None for other columns."""
    filled = column.values.dropna()
    filled = filled[filled.str.strip() != ""]
    probed = filled.head(N_PROBED_TEXTS)
    if probed.empty or not probed.str.lstrip().str.startswith(("{", "[")).all():
        return None
    try:
        parsed = {row: load_json(text) for row, text in filled.items()}
    except ValueError:
        return None
    if not any(isinstance(value, Mapping) or value for value in parsed.values()):
        return None
    return [parsed.get(row) for row in column.values.index]
