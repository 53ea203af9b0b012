"""Map interest vectors to text vectors by ridge regression."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from profile_lib.arrays.types import Floats
from profile_lib.recommend.data.arrow_columns import lists_to_matrix
from profile_lib.recommend.data.vectors import normalise_rows

SUMS_SCHEMA = "squares array<double>, products array<double>"


def fit_interest_map(pairs: DataFrame, interest_size: int, text_size: int, ridge: float) -> Floats:
    """Fit the map by ridge regression: (interest_size + 1, text_size).

    Its last row is the intercept. `pairs` holds `vector`, an interest vector, and `target`, the
    text vector of the item that its user interacted with next. The penalty (Hoerl & Kennard 1970)
    is `ridge` times the number of pairs, and does not apply to the intercept. Only sums over each
    partition reach the driver, not the rows.
    """

    def sum_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        squares = np.zeros((interest_size + 1,) * 2)
        products = np.zeros((interest_size + 1, text_size))
        for batch in batches:
            x = _with_one(lists_to_matrix(batch["vector"], interest_size).astype(np.float64))
            squares += x.T @ x
            products += x.T @ lists_to_matrix(batch["target"], text_size)
        columns = [pa.array([part.ravel()]) for part in (squares, products)]
        yield pa.RecordBatch.from_arrays(columns, ["squares", "products"])

    known = pairs.select("vector", "target").where("vector IS NOT NULL AND target IS NOT NULL")
    sums = known.mapInArrow(sum_up, SUMS_SCHEMA).toPandas()  # one row per partition
    squares, products = (
        np.sum(np.stack(sums[name].to_list()), axis=0).reshape(interest_size + 1, -1)
        for name in ("squares", "products")
    )
    n_pairs = squares[-1, -1]
    penalty = np.append(np.full(interest_size, ridge * max(n_pairs, 1.0)), 1e-9)
    return np.linalg.solve(squares + np.diag(penalty), products).astype(np.float32)


def map_interests(vectors: Floats, interest_map: Floats) -> Floats:
    """Map interest vectors (n, J) to text vectors (n, d); NaN stays NaN.

    Text vectors have length 1.
    """
    return normalise_rows(_with_one(vectors) @ interest_map)


def _with_one(vectors: Floats) -> Floats:
    return np.append(vectors, np.ones((len(vectors), 1), vectors.dtype), axis=1)
