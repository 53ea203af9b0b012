"""Let other modules add columns to a declared table."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import chain
from typing import overload

from profile_lib.tables.table import TableColumn


class _ColumnSequence(Sequence[TableColumn]):
    """A sequence that is defined by how it is iterated, so that later additions show."""

    @overload
    def __getitem__(self, index: int) -> TableColumn: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TableColumn, ...]: ...
    def __getitem__(self, index: int | slice) -> TableColumn | tuple[TableColumn, ...]:
        return tuple(self)[index]

    def __len__(self) -> int:
        return sum(1 for _ in self)


class RegisteredColumns(_ColumnSequence):
    """Columns that modules register, in the order of registration.

    `module` registers the project's own columns when it is imported. It is imported on first use,
    by name, because tables must not depend on the stages that compute them.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._columns: dict[str, TableColumn] = {}

    def __iter__(self) -> Iterator[TableColumn]:
        import_module(self._module)
        return iter(tuple(self._columns.values()))

    def register(self, columns: Sequence[TableColumn]) -> None:
        """Add columns after those registered before. Raises ValueError if a name is taken."""
        names = [column.name for column in columns]
        taken = [n for n in names if n in self._columns or names.count(n) > 1]
        if taken:
            raise ValueError(f"columns {sorted(set(taken))} are declared twice; rename one of each")
        self._columns |= {column.name: column for column in columns}

    def unregister(self, columns: Sequence[TableColumn]) -> None:
        """Remove registered columns."""
        for column in columns:
            del self._columns[column.name]


class ChainedColumns(_ColumnSequence):
    """The columns of several sequences, one after the other."""

    def __init__(self, *parts: Sequence[TableColumn]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[TableColumn]:
        return chain.from_iterable(self._parts)
