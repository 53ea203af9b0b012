"""Read columns of a snapshot's split as arrays."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def read_columns(folder: str, names: Sequence[str], max_rows: int) -> list[np.ndarray]:
    """Return the columns `names` of a split's first `max_rows` rows.

    A column of numbers is (n,), a column of lists (n, length). The rows of a split are sorted by a
    hash, so that the first ones are a random sample.
    """
    parts, n_left = [], max_rows
    for file in sorted(Path(folder).glob("*.parquet")):
        if n_left > 0:
            parts.append(pq.read_table(file, columns=list(names)).slice(0, n_left))
            n_left -= len(parts[-1])
    table = pa.concat_tables(parts)
    return [_to_array(table[name].combine_chunks()) for name in names]


def read_texts(folder: str, max_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return padded token ids (n, T) and lengths (n,) of a split's first `max_rows` rows."""
    token_ids, n_tokens = read_columns(folder, ("token_ids", "n_tokens"), max_rows)
    return token_ids.astype(np.int64), n_tokens.astype(np.int64)


def _to_array(column: pa.Array) -> np.ndarray:
    if not pa.types.is_list(column.type):
        return column.to_numpy(zero_copy_only=False)
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
