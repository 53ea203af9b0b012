"""What co-occurs in histories, item by item, in; nearest items by a closed form out.

The matrix of all pairs of items is brought together, inverted and pruned in one task: neither the
driver nor any frame ever holds it.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse
from scipy.linalg import lapack

from profile_lib.errors import InputError
from profile_lib.recommend.histories import Histories
from profile_lib.recommend.top import best_of_all
from profile_lib.segments import Floats

SUMS = "item int, other int, gram float, flow float"
NEAREST = "item int, neighbour int, weight float"
ROWS_AT_ONCE = 512  # of the solution, so that it never stands whole beside the inverse

Sums = Callable[[Histories], tuple[sparse.csr_array, sparse.csr_array]]
Rows = Callable[[Floats, sparse.csc_array, slice], Floats]


def nearest_by_inverse(
    histories: DataFrame,
    sums: Sums,
    rows: Rows,
    *,
    n_items: int,
    l2: float,
    most: int,
    item_limit: int,
) -> DataFrame:
    """(item, neighbour, weight): of each item the `most` greatest weights, equal ones by number.

    `sums` makes of a batch of users the two (n_items, n_items) matrices that are summed over all
    users, the Gram matrix and the flows; `rows` makes some rows of the solution of the inverse of
    Gram matrix + `l2` on its diagonal and of the flows. An item is no neighbour of itself.
    Raises InputError above `item_limit` items: the task holds 4 bytes a pair of them.
    """
    if n_items > item_limit:
        raise InputError(
            f"a closed form over {n_items:,} items would hold {n_items**2 * 4 / 2**30:,.1f} GiB in "
            f"one task; wanted at most {item_limit:,} items: take co-occurrence in its place, or "
            "raise the item_limit of the source"
        )

    def add_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _as_rows(*sums(Histories.of_batch(batch)))

    def solve(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        gram, flow = _as_matrices(batches, n_items)
        gram[np.diag_indices(n_items)] += l2
        inverted = inverse(gram)
        for start in range(0, n_items, ROWS_AT_ONCE):
            part = slice(start, min(start + ROWS_AT_ONCE, n_items))
            yield _nearest(rows(inverted, flow, part), start, most)

    summed = (
        histories.mapInArrow(add_up, SUMS)
        .groupBy("item", "other")
        .agg(F.sum("gram").cast("float").alias("gram"), F.sum("flow").cast("float").alias("flow"))
    )
    return summed.repartition(1).mapInArrow(solve, NEAREST)


def inverse(positive: Floats) -> Floats:
    """The inverse of a symmetric positive definite matrix (n, n), in its place.

    Raises numpy's LinAlgError where it isn't positive definite.
    """
    factor, failed = lapack.spotrf(positive.T, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"not positive definite at row {failed}")
    inverted, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    for i in range(1, len(inverted)):
        inverted[:i, i] = inverted[i, :i]
    return inverted


def _as_rows(gram: sparse.csr_array, flow: sparse.csr_array) -> pa.RecordBatch:
    gram, flow = gram.tocoo(), flow.tocoo()
    columns = [
        np.concatenate([gram.row, flow.row]).astype(np.int32),
        np.concatenate([gram.col, flow.col]).astype(np.int32),
        np.concatenate([gram.data, np.zeros(flow.nnz)]).astype(np.float32),
        np.concatenate([np.zeros(gram.nnz), flow.data]).astype(np.float32),
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(c) for c in columns], ["item", "other", "gram", "flow"]
    )


def _as_matrices(
    batches: Iterable[pa.RecordBatch], n_items: int
) -> tuple[Floats, sparse.csc_array]:
    gram = np.zeros((n_items, n_items), np.float32)
    found: list[tuple[np.ndarray, ...]] = [(np.zeros(0, np.int32),) * 2 + (np.zeros(0),)]
    for batch in batches:
        item, other, both, flow = (column.to_numpy() for column in batch.columns)
        gram[item, other] = both
        flows = flow != 0
        found.append((item[flows], other[flows], flow[flows]))
    item, other, flow = (np.concatenate(parts) for parts in zip(*found, strict=True))
    shape = (n_items, n_items)
    return gram, sparse.csc_array((flow, (item, other)), shape=shape, dtype=np.float32)


def _nearest(rows: Floats, start: int, most: int) -> pa.RecordBatch:
    rows[np.arange(len(rows)), start + np.arange(len(rows))] = -np.inf  # itself
    rows[rows <= 0] = -np.inf
    found = best_of_all(rows, most).tocoo()
    columns = [(start + found.row).astype(np.int32), found.col.astype(np.int32), found.data]
    return pa.RecordBatch.from_arrays(
        [pa.array(c) for c in columns], ["item", "neighbour", "weight"]
    )
