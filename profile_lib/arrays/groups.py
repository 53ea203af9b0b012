"""Arrow batches of rows sorted by group in; whole groups, their order, counts and sums out.

Array operations over all groups at once, none a row or a group at a time. What comes out of one
group is a function of its own rows in their order, whatever other groups stand beside it: sums
are added one after the other, never pairwise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.types import Flags, Floats, Longs, Numbers


def complete_groups(
    batches: Iterable[pa.RecordBatch], key: str, min_rows: int = 1
) -> Iterator[pa.RecordBatch]:
    """Batches of whole groups of rows that come sorted by `key`, a long; each group once.

    A batch's last group waits for the next batch, and so does all until `min_rows` rows are
    together: what comes out holds about as many, or those of one larger group.
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        keys = batch[key].to_numpy()
        last = int(np.searchsorted(keys, keys[-1]))
        goes_on = bool(waiting) and not last and waiting[-1][key][-1].as_py() == keys[0]
        if goes_on or sum(b.num_rows for b in waiting) + last < min_rows:
            waiting.append(batch)
        else:
            yield _concatenate([*waiting, batch.slice(0, last)])
            waiting = [batch.slice(last)]
    if waiting:
        yield _concatenate(waiting)


def _concatenate(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    (whole,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole


def sort_by_group_and_time(group: Longs, micros: Longs, event_id: pa.Array) -> Longs:
    """Row numbers by group, time and event_id; only events at the same moment compare ids."""
    order = np.lexsort((micros, group))
    is_tied = (np.diff(group[order]) == 0) & (np.diff(micros[order]) == 0)
    if not is_tied.any():
        return order
    moment = np.cumsum(np.append(True, ~is_tied))
    tied = np.flatnonzero(np.append(is_tied, False) | np.append(False, is_tied))
    rank = sort_ranks(event_id.take(pa.array(order[tied])))
    order[tied] = order[tied[np.lexsort((rank, moment[tied]))]]
    return order


def sort_ranks(values: pa.Array) -> Longs:
    """The place of each value, from 0, were they sorted: strings by their bytes.

    >>> sort_ranks(pa.array(["b", "c", "a"])).tolist()
    [1, 2, 0]
    """
    rank = np.empty(len(values), dtype=np.int64)
    rank[pc.array_sort_indices(values).to_numpy()] = np.arange(len(values))
    return rank


def differs_from_previous(*columns: Numbers) -> Flags:
    """True for the first row, and for those that differ from the row before in any column.

    >>> differs_from_previous(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 6])).tolist()
    [True, False, True, True]
    """
    is_new = np.zeros(len(columns[0]), dtype=bool)
    is_new[:1] = True
    for values in columns:
        is_new[1:] |= values[1:] != values[:-1]
    return is_new


def index_within_group(group: Numbers) -> Longs:
    """(n,): the place of each row in its group, from 0, where a group's rows stand side by side.

    >>> index_within_group(np.array([4, 4, 7, 7, 7])).tolist()
    [0, 1, 0, 1, 2]
    """
    is_first = differs_from_previous(group)
    return np.arange(len(group)) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]


def first_occurrences(keys: Longs) -> tuple[Longs, Longs]:
    """The row of each different key's first appearance, in order; and each row's place in that.

    >>> rows, place = first_occurrences(np.array([7, 3, 7, 5]))
    >>> rows.tolist(), place.tolist()
    ([0, 1, 3], [0, 1, 0, 2])
    """
    _, first, of = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[of]


def dictionary_codes(values: pa.Array) -> tuple[Longs, pa.Array]:
    """A number for each different value, -1 for null; and the values by their numbers."""
    encoded = values.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy().astype(np.int64), encoded.dictionary


def to_list_array(lengths: Longs, values: pa.Array) -> pa.ListArray:
    """The values cut into lists of these lengths."""
    return pa.ListArray.from_arrays(list_offsets(lengths), values)


def rows_to_list_array(rows: Floats) -> pa.ListArray:
    """(n, size) as n lists of numbers."""
    return to_list_array(np.full(len(rows), rows.shape[1]), pa.array(rows.ravel()))


def single_chunk(column: pa.ChunkedArray) -> pa.Array:
    """A table's column in one piece; not copied where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def slice_batches(batches: Iterable[pa.RecordBatch], max_rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows, at most so many at once."""
    for batch in batches:
        for start in range(0, batch.num_rows, max_rows):
            yield batch.slice(start, max_rows)


def list_offsets(lengths: Longs) -> pa.Array:
    """Where lists of these lengths begin and end, laid one after the other."""
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def is_not_null(values: pa.Array) -> Flags:
    """True where a value is not null."""
    return values.is_valid().to_numpy(zero_copy_only=False)


def _zero_for_null(values: pa.Array) -> Numbers:
    return values.fill_null(0).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class GroupedRows:
    """`n_groups` groups of rows, some maybe without any; `group_ids` is the group of each row.

    What speaks of first and last rows wants the rows of a group side by side, groups in order.
    """

    group_ids: Longs
    n_groups: int

    @cached_property
    def start_rows(self) -> Longs:
        """The row number at which each group begins."""
        return np.searchsorted(self.group_ids, np.arange(self.n_groups))

    @cached_property
    def end_rows(self) -> Longs:
        """The row number after the last of each group."""
        return np.searchsorted(self.group_ids, np.arange(self.n_groups), side="right")

    def count(self, where: Flags) -> Longs:
        """How many rows of each group are true."""
        return np.bincount(self.group_ids[where], minlength=self.n_groups)

    def count_by_code(self, codes: Longs, n_codes: int, where: Flags | None = None) -> Longs:
        """(n_codes, n): rows of each group, where true, with each code; those below 0 nowhere."""
        chosen = codes >= 0 if where is None else where & (codes >= 0)
        cells = codes[chosen] * self.n_groups + self.group_ids[chosen]
        return np.bincount(cells, minlength=n_codes * self.n_groups).reshape(n_codes, self.n_groups)

    def sum(self, values: Numbers, where: Flags | None = None) -> Floats:
        """The sum of each group's values, where true, added in the order of the rows."""
        of, values = (
            (self.group_ids, values) if where is None else (self.group_ids[where], values[where])
        )
        return np.bincount(of, weights=values, minlength=self.n_groups).astype(np.float64)

    def mean(self, values: pa.Array, where: Flags | None = None) -> pa.Array:
        """Return the mean of each group's known values, where true; null if it has none."""
        is_known = is_not_null(values) if where is None else where & is_not_null(values)
        n, total = self.count(is_known), self.sum(_zero_for_null(values), is_known)
        return pa.array(total / np.maximum(n, 1), mask=n == 0)

    def max(self, values: Numbers, where: Flags, initial: float) -> Numbers:
        """The greatest of each group's values where true, and of `initial`."""
        found = np.full(self.n_groups, initial, dtype=values.dtype)
        np.maximum.at(found, self.group_ids[where], values[where])
        return found

    def first_true(self, where: Flags) -> Longs:
        """The row number of each group's first true row, -1 where it has none."""
        rows = np.append(np.flatnonzero(where), len(self.group_ids))
        found = rows[np.searchsorted(rows, self.start_rows)]
        return np.where(found < self.end_rows, found, -1)

    def last_true(self, where: Flags) -> Longs:
        """The row number of each group's last true row, -1 where it has none."""
        rows = np.append(-1, np.flatnonzero(where))
        found = rows[np.searchsorted(rows, self.end_rows) - 1]
        return np.where(found >= self.start_rows, found, -1)
