"""A snapshot's split in, its columns as arrays out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def read_columns(folder: str, names: Sequence[str], max_rows: int) -> list[np.ndarray]:
    """Of the first `max_rows` rows each column, a list column as a matrix; a split's rows stand in
    order of a hash."""
    parts, left = [], max_rows
    for file in sorted(Path(folder).glob("*.parquet")):
        if left > 0:
            parts.append(pq.read_table(file, columns=list(names)).slice(0, left))
            left -= len(parts[-1])
    table = pa.concat_tables(parts)
    return [_array(table[name].combine_chunks()) for name in names]


def _array(column: pa.Array) -> np.ndarray:
    if not pa.types.is_list(column.type):
        return column.to_numpy(zero_copy_only=False)
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
