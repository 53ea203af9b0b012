"""Order, count and sum rows by group.

Array operations work on all groups at once. A group's result depends only on its own rows and their
order, never on the other groups: sums are added one value after the other, not pairwise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.types import Flags, Floats, Longs, Numbers

NULL_SEQUENCE = np.iinfo(np.int64).min  # Spark, too, orders null before all numbers


def complete_groups(
    batches: Iterable[pa.RecordBatch], key: str, min_rows: int = 1
) -> Iterator[pa.RecordBatch]:
    """Regroup sorted batches so that each group lies in one batch.

    Rows must be sorted by `key`, a column of longs. The last group of a batch may continue in the
    next one, so it is held back. Batches are joined until they have `min_rows`; only the last one
    yielded may have fewer.
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        keys = batch[key].to_numpy()
        n_complete = int(np.searchsorted(keys, keys[-1]))
        continues = bool(waiting) and not n_complete and waiting[-1][key][-1].as_py() == keys[0]
        if continues or sum(b.num_rows for b in waiting) + n_complete < min_rows:
            waiting.append(batch)
        else:
            yield _concatenate([*waiting, batch.slice(0, n_complete)])
            waiting = [batch.slice(n_complete)]
    if waiting:
        yield _concatenate(waiting)


def _concatenate(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batch


def sort_by_group_and_time(
    group: Longs, micros: Longs, sequence: pa.Array, event_id: pa.Array
) -> Longs:
    """Return row numbers sorted by group, time, sequence and event_id.

    A null sequence comes before all numbers. Comparing strings is slow, so sequences and ids are
    compared only among events of a group at the same time.
    """
    order = np.lexsort((micros, group))
    is_tied = (np.diff(group[order]) == 0) & (np.diff(micros[order]) == 0)
    if not is_tied.any():
        return order
    group_and_time = np.cumsum(np.append(True, ~is_tied))
    tied = np.flatnonzero(np.append(is_tied, False) | np.append(False, is_tied))
    tied_rows = pa.array(order[tied])
    number = sequence.take(tied_rows).fill_null(NULL_SEQUENCE).to_numpy()
    id_rank = sort_ranks(event_id.take(tied_rows))
    order[tied] = order[tied[np.lexsort((id_rank, number, group_and_time[tied]))]]
    return order


def sort_ranks(values: pa.Array) -> Longs:
    """Return the sort rank of each value, from 0; strings sort by bytes.

    >>> sort_ranks(pa.array(["b", "c", "a"])).tolist()
    [1, 2, 0]
    """
    rank = np.empty(len(values), dtype=np.int64)
    rank[pc.array_sort_indices(values).to_numpy()] = np.arange(len(values))
    return rank


def differs_from_previous(*columns: Numbers) -> Flags:
    """Return True for each row that differs from the previous one in any column.

    The first row always counts as different.

    >>> differs_from_previous(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 6])).tolist()
    [True, False, True, True]
    """
    is_new = np.zeros(len(columns[0]), dtype=bool)
    is_new[:1] = True
    for values in columns:
        is_new[1:] |= values[1:] != values[:-1]
    return is_new


def index_within_group(group: Numbers) -> Longs:
    """Return the index of each row in its group; a group's rows are adjacent.

    >>> index_within_group(np.array([4, 4, 7, 7, 7])).tolist()
    [0, 1, 0, 1, 2]
    """
    is_first = differs_from_previous(group)
    return np.arange(len(group)) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]


def first_occurrences(keys: Longs) -> tuple[Longs, Longs]:
    """Return the first row of each distinct key, and the key number of each row.

    Keys are numbered in the order of their first occurrence.

    >>> rows, number = first_occurrences(np.array([7, 3, 7, 5]))
    >>> rows.tolist(), number.tolist()
    ([0, 1, 3], [0, 1, 0, 2])
    """
    _, first_row, sorted_number = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first_row)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return first_row[order], number[sorted_number]


def dictionary_codes(values: pa.Array) -> tuple[Longs, pa.Array]:
    """Return a code per row (-1 for null) and the distinct values by code."""
    encoded = values.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy().astype(np.int64), encoded.dictionary


def to_list_array(lengths: Longs, values: pa.Array) -> pa.ListArray:
    """Split values into consecutive lists of these lengths."""
    return pa.ListArray.from_arrays(list_offsets(lengths), values)


def rows_to_list_array(rows: Floats) -> pa.ListArray:
    """Convert an array, (n, size), to n lists of `size` numbers."""
    return to_list_array(np.full(len(rows), rows.shape[1]), pa.array(rows.ravel()))


def single_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a table's column as one array, without a copy if it has one chunk."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def slice_batches(batches: Iterable[pa.RecordBatch], max_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of at most `max_rows`."""
    for batch in batches:
        for start in range(0, batch.num_rows, max_rows):
            yield batch.slice(start, max_rows)


def list_offsets(lengths: Longs) -> pa.Array:
    """Return the offsets at which consecutive lists of these lengths begin and end."""
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def is_not_null(values: pa.Array) -> Flags:
    """Return True for each value that is not null."""
    return values.is_valid().to_numpy(zero_copy_only=False)


def _zero_for_null(values: pa.Array) -> Numbers:
    return values.fill_null(0).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class GroupedRows:
    """Rows in `n_groups` groups, some of them perhaps empty.

    `group_ids` holds the group of each row, from 0. Start rows, end rows, `first_true` and
    `last_true` require rows sorted by group.
    """

    group_ids: Longs
    n_groups: int

    @cached_property
    def start_rows(self) -> Longs:
        """The number of each group's first row."""
        return np.searchsorted(self.group_ids, np.arange(self.n_groups))

    @cached_property
    def end_rows(self) -> Longs:
        """The number of the row after each group's last row."""
        return np.searchsorted(self.group_ids, np.arange(self.n_groups), side="right")

    def count(self, where: Flags) -> Longs:
        """Count each group's rows for which `where` is true."""
        return np.bincount(self.group_ids[where], minlength=self.n_groups)

    def count_by_code(self, codes: Longs, n_codes: int, where: Flags | None = None) -> Longs:
        """Count rows per code and group, (n_codes, n_groups), without codes below 0."""
        is_counted = codes >= 0 if where is None else where & (codes >= 0)
        cells = codes[is_counted] * self.n_groups + self.group_ids[is_counted]
        return np.bincount(cells, minlength=n_codes * self.n_groups).reshape(n_codes, self.n_groups)

    def sum(self, values: Numbers, where: Flags | None = None) -> Floats:
        """Sum each group's values for which `where` is true, in the order of the rows."""
        group_ids = self.group_ids
        if where is not None:
            group_ids, values = group_ids[where], values[where]
        return np.bincount(group_ids, weights=values, minlength=self.n_groups).astype(np.float64)

    def mean(self, values: pa.Array, where: Flags | None = None) -> pa.Array:
        """Return the mean of each group's values for which `where` is true, without nulls.

        It is null if a group has no such value.
        """
        is_counted = is_not_null(values) if where is None else where & is_not_null(values)
        n, total = self.count(is_counted), self.sum(_zero_for_null(values), is_counted)
        return pa.array(total / np.maximum(n, 1), mask=n == 0)

    def max(self, values: Numbers, where: Flags, initial: float) -> Numbers:
        """Return the maximum of `initial` and each group's values for which `where` is true."""
        maximum = np.full(self.n_groups, initial, dtype=values.dtype)
        np.maximum.at(maximum, self.group_ids[where], values[where])
        return maximum

    def first_true(self, where: Flags) -> Longs:
        """Return the number of each group's first row for which `where` is true, else -1."""
        true_rows = np.append(np.flatnonzero(where), len(self.group_ids))
        next_rows = true_rows[np.searchsorted(true_rows, self.start_rows)]
        return np.where(next_rows < self.end_rows, next_rows, -1)

    def last_true(self, where: Flags) -> Longs:
        """Return the number of each group's last row for which `where` is true, else -1."""
        true_rows = np.append(-1, np.flatnonzero(where))
        previous_rows = true_rows[np.searchsorted(true_rows, self.end_rows) - 1]
        return np.where(previous_rows >= self.start_rows, previous_rows, -1)
