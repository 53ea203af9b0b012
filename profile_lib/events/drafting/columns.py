"""Hold the columns of a sample, nested ones included."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from profile_lib.events.mapping import KeyedArray
from profile_lib.spark.column_shapes import quote_name

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Path = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """The values of a column in a sample.

    `path` is its name, with dots between nested ones; `sql` is the expression that reads it.
    `values` are texts, or null. `type` is that of Python, text in CSV and JSON.
    """

    path: str
    sql: str
    values: pd.Series
    type: type = str
    is_csv: bool = False  # a missing value is an empty text


@dataclass(frozen=True)
class ArrayOfObjects:
    """An array whose elements are objects, and the columns of the elements."""

    path: Path
    columns: tuple[Column, ...]
    n_rows: int  # rows that have elements
    n_elements: int
    alias: str

    @property
    def sql(self) -> str:
        """The expression of the array."""
        return sql_of(self.path)


@dataclass(frozen=True)
class Nested:
    """Columns of a sample, arrays of objects, and a keyed array."""

    n_rows: int
    columns: tuple[Column, ...]
    arrays: tuple[ArrayOfObjects, ...] = ()
    keyed: KeyedArray | None = None


def sql_of(path: Sequence[str]) -> str:
    """Return the expression of a path; a part that is no plain name is quoted.

    >>> sql_of(("properties", "$os"))
    'properties.`$os`'
    """
    return ".".join(part if PLAIN_NAME.fullmatch(part) else quote_name(part) for part in path)
