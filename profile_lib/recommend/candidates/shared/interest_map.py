"""Map interest vectors to the vectors of items' texts, by ridge regression."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from profile_lib.arrays.types import Floats
from profile_lib.recommend.data.arrow_columns import lists_to_matrix
from profile_lib.recommend.data.vectors import normalise_rows

SUMS_SCHEMA = "squares array<double>, products array<double>"


def fit_interest_map(pairs: DataFrame, interest_size: int, text_size: int, ridge: float) -> Floats:
    """Fit the map by least squares: (interest_size + 1, text_size).

    Its last row is the intercept. `pairs` holds `vector`, an interest vector, and `target`, the
    text vector of the item that its user interacted with next. `ridge` times the number of pairs is
    added to the squares (Hoerl & Kennard 1970), but not to that of the intercept. Sums per part of
    the rows come to the driver, never the rows.
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
    sums = known.mapInArrow(sum_up, SUMS_SCHEMA).toPandas()  # one row per part
    squares, products = (
        np.sum(np.stack(sums[name].to_list()), axis=0).reshape(interest_size + 1, -1)
        for name in ("squares", "products")
    )
    n_pairs = squares[-1, -1]
    penalty = np.append(np.full(interest_size, ridge * max(n_pairs, 1.0)), 1e-9)
    return np.linalg.solve(squares + np.diag(penalty), products).astype(np.float32)


def map_interests(vectors: Floats, interest_map: Floats) -> Floats:
    """Map interest vectors to text vectors of length 1; NaN stays NaN."""
    return normalise_rows(_with_one(vectors) @ interest_map)


def _with_one(vectors: Floats) -> Floats:
    return np.append(vectors, np.ones((len(vectors), 1), vectors.dtype), axis=1)
