"""Let other modules register columns of a declared table."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol, overload

from profile_lib.registry import Registry
from profile_lib.tables.table import TableColumn


class _ColumnSequence(Sequence[TableColumn]):
    """A sequence that iterates over its parts each time, so that it shows later additions."""

    @overload
    def __getitem__(self, index: int) -> TableColumn: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TableColumn, ...]: ...
    def __getitem__(self, index: int | slice) -> TableColumn | tuple[TableColumn, ...]:
        return tuple(self)[index]

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ColumnFunction(Protocol):
    """A function that computes the columns it declares."""

    columns: Mapping[str, TableColumn]  # by name

    def __call__(self, inputs: Any, /) -> Iterator[tuple[str, Any]]:
        """Return each column's name and values."""


class RegisteredColumns(_ColumnSequence):
    """The columns of the functions in a registry, in the order of registration."""

    def __init__(self, registry: Registry[ColumnFunction]) -> None:
        self.registry = registry

    def __iter__(self) -> Iterator[TableColumn]:
        for name, function in self.registry.all().items():
            yield function.columns[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of the columns in their order."""
        return tuple(self.registry.all())


class ChainedColumns(_ColumnSequence):
    """The columns of several sequences, one after the other."""

    def __init__(self, *parts: Sequence[TableColumn]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[TableColumn]:
        return chain.from_iterable(self._parts)
