"""Read the rows that baselines are fitted to and measured on."""

from typing import NamedTuple

import numpy as np

from profile_lib.training.data.split_columns import read_columns


class BaselineRows(NamedTuple):
    """Columns of n rows of a split."""

    numeric: np.ndarray  # (n, F + K) float32, NaN if unknown; the last K are category codes
    labels: np.ndarray  # (n, L), NaN if unknown
    top_class: np.ndarray  # (n,)
    weight: np.ndarray  # (n,)
    row_hash: np.ndarray  # (n,)

    def select(self, row_hash: np.ndarray) -> "BaselineRows":
        """Return the rows with these hashes, in their order; raise ValueError if one is missing."""
        order = np.argsort(self.row_hash)
        found = np.searchsorted(self.row_hash, row_hash, sorter=order)
        positions = order[np.minimum(found, len(order) - 1)]
        if not np.array_equal(self.row_hash[positions], row_hash):
            raise ValueError(f"not all of {len(row_hash)} rows are among {len(order)}")
        return BaselineRows(*(column[positions] for column in self))


class LabelledRows(NamedTuple):
    """Rows with a known label of 0 or 1."""

    numeric: np.ndarray  # (n, F + K)
    label: np.ndarray  # (n,)
    weight: np.ndarray  # (n,)


def read_baseline_rows(folder: str, max_rows: int) -> BaselineRows:
    """Read the first `max_rows` rows of a snapshot's split."""
    return BaselineRows(*read_columns(folder, BaselineRows._fields, max_rows))


def select_labelled(rows: BaselineRows, column: int) -> LabelledRows:
    """Return the rows whose label in this column of `labels` is known."""
    is_known = ~np.isnan(rows.labels[:, column])
    return LabelledRows(
        rows.numeric[is_known], rows.labels[is_known, column], rows.weight[is_known]
    )
