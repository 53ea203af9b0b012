"""Find each item's neighbours by inverting the Gram matrix of all items.

A single Spark task holds, inverts and prunes the dense matrix; the driver never does.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse
from scipy.linalg import lapack

from profile_lib.arrays.types import Floats
from profile_lib.errors import InputError
from profile_lib.recommend.candidates.shared.item_to_item import NEIGHBOUR_SCHEMA
from profile_lib.recommend.candidates.shared.top_k import top_k_dense
from profile_lib.recommend.data.arrow_columns import record_batch
from profile_lib.recommend.data.histories import Histories

SUMS_SCHEMA = "item int, other int, gram float, cross float"
MAX_SOLVED_ROWS = 512  # rows of the solution in memory at a time, in addition to the inverse

SumBatch = Callable[[Histories], tuple[sparse.csr_array, sparse.csr_array]]
SolveRows = Callable[[Floats, sparse.csc_array, slice], Floats]


def nearest_by_inverse(
    histories: DataFrame,
    sum_batch: SumBatch,
    solve_rows: SolveRows,
    *,
    n_items: int,
    l2: float,
    max_neighbours: int,
    max_items: int,
) -> DataFrame:
    """Return each item's `max_neighbours` greatest weights above 0: NEIGHBOUR_SCHEMA rows.

    `sum_batch` returns two matrices of a batch of users, (n_items, n_items), which are summed over
    all users: the Gram matrix and the cross products. `solve_rows` returns a slice of the rows of
    the solution, from the inverse of (Gram matrix + `l2` on its diagonal) and the cross products.
    An item is not its own neighbour. Among equal weights the lowest item numbers are selected.

    Raises InputError above `max_items` items: the task holds 4 bytes per pair of items.
    """
    if n_items > max_items:
        raise InputError(
            f"a closed form over {n_items:,} items would hold {n_items**2 * 4 / 2**30:,.1f} GiB in "
            f"one task; wanted at most {max_items:,} items: take kind item_neighbours in its "
            "place, or raise the max_items of the source"
        )

    def add_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _to_rows(*sum_batch(Histories.from_batch(batch)))

    def solve(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        gram, cross = _to_matrices(batches, n_items)
        gram[np.diag_indices(n_items)] += l2
        inverted = invert_in_place(gram)
        for start in range(0, n_items, MAX_SOLVED_ROWS):
            part = slice(start, min(start + MAX_SOLVED_ROWS, n_items))
            yield _nearest(solve_rows(inverted, cross, part), start, max_neighbours)

    summed = (
        histories.mapInArrow(add_up, SUMS_SCHEMA)
        .groupBy("item", "other")
        .agg(F.sum("gram").cast("float").alias("gram"), F.sum("cross").cast("float").alias("cross"))
    )
    return summed.repartition(1).mapInArrow(solve, NEIGHBOUR_SCHEMA)


def invert_in_place(positive: Floats) -> Floats:
    """Invert a symmetric positive definite matrix, (n, n), in the memory of `positive`.

    Raises numpy's LinAlgError if the matrix isn't positive definite.
    """
    factor, failed = lapack.spotrf(positive.T, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"not positive definite at row {failed}")
    inverted, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    for i in range(1, len(inverted)):
        inverted[:i, i] = inverted[i, :i]
    return inverted


def _to_rows(gram: sparse.csr_array, cross: sparse.csr_array) -> pa.RecordBatch:
    gram, cross = gram.tocoo(), cross.tocoo()
    columns = [
        np.concatenate([gram.row, cross.row]).astype(np.int32),
        np.concatenate([gram.col, cross.col]).astype(np.int32),
        np.concatenate([gram.data, np.zeros(cross.nnz)]).astype(np.float32),
        np.concatenate([np.zeros(gram.nnz), cross.data]).astype(np.float32),
    ]
    return record_batch(SUMS_SCHEMA, columns)


def _to_matrices(
    batches: Iterable[pa.RecordBatch], n_items: int
) -> tuple[Floats, sparse.csc_array]:
    gram = np.zeros((n_items, n_items), np.float32)
    cells: list[tuple[np.ndarray, ...]] = [(np.zeros(0, np.int32),) * 2 + (np.zeros(0),)]
    for batch in batches:
        item, other, gram_sum, cross_sum = (column.to_numpy() for column in batch.columns)
        gram[item, other] = gram_sum
        has_cross = cross_sum != 0
        cells.append((item[has_cross], other[has_cross], cross_sum[has_cross]))
    item, other, cross = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    shape = (n_items, n_items)
    return gram, sparse.csc_array((cross, (item, other)), shape=shape, dtype=np.float32)


def _nearest(rows: Floats, start: int, max_neighbours: int) -> pa.RecordBatch:
    rows[np.arange(len(rows)), start + np.arange(len(rows))] = -np.inf  # the item itself
    rows[rows <= 0] = -np.inf
    nearest = top_k_dense(rows, max_neighbours).tocoo()
    columns = [(start + nearest.row).astype(np.int32), nearest.col.astype(np.int32), nearest.data]
    return record_batch(NEIGHBOUR_SCHEMA, columns)
