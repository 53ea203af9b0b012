"""Convert Arrow columns to numpy arrays, and look values up in them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from profile_lib.arrays.groups import sort_ranks
from profile_lib.arrays.types import Floats, Longs

MISSING = -1  # the number of an unknown item or context value
COUNT_ENTRIES = pa.list_(pa.struct([("key", pa.string()), ("value", pa.int64())]))


def column_names(schema: str) -> list[str]:
    """List the column names of a Spark schema string without nested structs.

    >>> column_names("item int, weights array<float>")
    ['item', 'weights']
    """
    return [column.split()[0] for column in schema.split(", ")]


def record_batch(schema: str, columns: Sequence[pa.Array | np.ndarray]) -> pa.RecordBatch:
    """Build a batch of columns in the order of a Spark schema string."""
    arrays = [c if isinstance(c, pa.Array) else pa.array(c) for c in columns]
    return pa.RecordBatch.from_arrays(arrays, column_names(schema))


def flat_numbers(lists: pa.ListArray) -> np.ndarray:
    """Return the values of all lists, one list after the other, as one array."""
    return lists.flatten().to_numpy(zero_copy_only=False)


def to_seconds(moments: pa.TimestampArray) -> Longs:
    """Return whole seconds since 1970."""
    micros = moments.cast(pa.timestamp("us", moments.type.tz)).cast(pa.int64())
    return micros.to_numpy(zero_copy_only=False).astype(np.int64) // 1_000_000


def to_index(texts: pa.Array) -> pd.Index:
    """Build a hash index of texts, for many look-ups."""
    return pd.Index(texts.to_numpy(zero_copy_only=False))


def find_positions(values: pa.Array, known: pa.Array) -> Longs:
    """Return the position of each value in `known`, or MISSING.

    >>> find_positions(pa.array(["b", "x", None]), pa.array(["a", "b"])).tolist()
    [1, -1, -1]
    """
    return pc.index_in(values, known).fill_null(MISSING).to_numpy().astype(np.int64)


def lists_to_matrix(lists: pa.ListArray, size: int) -> Floats:
    """Convert lists of `size` numbers to (n, size) float32, null to NaN.

    Raises ValueError if the lists are of another size.
    """
    matrix = np.full((len(lists), size), np.nan, np.float32)
    is_known = lists.is_valid().to_numpy(zero_copy_only=False)
    matrix[is_known] = lists.flatten().to_numpy().reshape(int(is_known.sum()), size)
    return matrix


def is_equal(values: pa.Array, value: str) -> np.ndarray:
    """Return whether each value equals `value`, (n,); false for null."""
    equal = pc.equal(values, value).fill_null(False)
    return equal.to_numpy(zero_copy_only=False)


def most_frequent_keys(counts: pa.MapArray) -> pa.Array:
    """Return the key with the greatest count of each map, null for an empty map.

    Among keys of equal counts it is the last in alphabetical order.
    """
    lists = counts.cast(COUNT_ENTRIES)
    entries, row = lists.flatten(), lists.value_parent_indices().to_numpy().astype(np.int64)
    key = entries.field(0)
    order = np.lexsort((sort_ranks(key), entries.field(1).to_numpy(), row))
    rows, last = np.unique(row[order][::-1], return_index=True)
    position = np.full(len(lists), MISSING, np.int64)
    position[rows] = order[::-1][last]
    return key.take(pa.array(position, mask=position == MISSING))
