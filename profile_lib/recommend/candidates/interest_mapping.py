"""Interest vectors in, vectors among those of the items' texts out: a linear map that is fitted."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from profile_lib.arrays.groups import Floats
from profile_lib.recommend.serving.requests import lists_to_matrix

SUMS_SCHEMA = "squares array<double>, products array<double>"


def fit_interest_map(pairs: DataFrame, interest: int, size: int, ridge: float) -> Floats:
    """(interest + 1, size): what takes an interest vector, and a 1 behind it, nearest to the
    vectors of the items that its user met next, by least squares.

    `pairs` holds `vector`, (interest,), and `target`, (size,); `ridge` times the number of pairs is
    added to the squares (Hoerl & Kennard 1970), but not to that of the 1. Sums of each part of the
    rows come to the driver, never the rows.
    """

    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        squares, products = np.zeros((interest + 1,) * 2), np.zeros((interest + 1, size))
        for batch in batches:
            x = _with_one(lists_to_matrix(batch["vector"], interest).astype(np.float64))
            squares += x.T @ x
            products += x.T @ lists_to_matrix(batch["target"], size)
        columns = [pa.array([part.ravel()]) for part in (squares, products)]
        yield pa.RecordBatch.from_arrays(columns, ["squares", "products"])

    known = pairs.select("vector", "target").where("vector IS NOT NULL AND target IS NOT NULL")
    found = known.mapInArrow(sums, SUMS_SCHEMA).toPandas()  # a row a part
    squares = np.sum(np.stack(found["squares"].to_list()), axis=0).reshape(
        interest + 1, interest + 1
    )
    products = np.sum(np.stack(found["products"].to_list()), axis=0).reshape(interest + 1, size)
    n = squares[-1, -1]
    shrink = np.append(np.full(interest, ridge * max(n, 1.0)), 1e-9)
    return np.linalg.solve(squares + np.diag(shrink), products).astype(np.float32)


def map_interests(vectors: Floats, weights: Floats) -> Floats:
    """(n, size) of length 1; rows of NaN stay NaN."""
    return normalise_rows(_with_one(vectors) @ weights)


def _with_one(vectors: Floats) -> Floats:
    return np.append(vectors, np.ones((len(vectors), 1), vectors.dtype), axis=1)


def normalise_rows(vectors: Floats) -> Floats:
    """The rows, (n, d), at length 1; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
