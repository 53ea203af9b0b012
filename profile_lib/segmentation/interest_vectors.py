"""Assign users to the nearest centroid, or score them, by their interest vectors.

Vectors are scaled to unit length, because the direction says what a user likes, and the length
mostly how much is known. A vector that is zero or holds a value that is not finite is unusable, and
its user is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.types import Flags, Floats, Longs
from profile_lib.errors import InputError
from profile_lib.spark.workers import freeze_loaded_modules

VECTOR_COLUMN = "interest_vector"
REFRESH_HINT = (
    "run python jobs/refresh_profiles.py --config FILE, which computes all with one model"
)


@dataclass(frozen=True)
class VectorSummary:
    """The number of profiles, their latest `as_of_ts`, and the model of their vectors."""

    n_profiles: int
    as_of: datetime
    model_version: str


def summarise_vectors(profiles: DataFrame) -> VectorSummary:
    """Summarise the vectors of profiles.

    A profile with pending input may have an empty vector. Raises InputError if no profile has a
    vector, or if vectors come from several models or have several sizes and cannot be compared.
    """
    size = F.nullif(F.size(VECTOR_COLUMN), F.lit(0))
    versions = F.collect_set(F.when(size.isNotNull(), F.col("model_version")))
    summary = profiles.agg(F.count("*"), F.max("as_of_ts"), versions, F.collect_set(size))
    n, as_of, models, sizes = summary.collect()[0]
    if not sizes:
        raise InputError(f"user_profiles: none of {n:,} has an interest vector; {REFRESH_HINT}")
    for property_name, values in (("models", models), ("sizes", sizes)):
        if len(values) > 1:
            raise InputError(
                f"user_profiles: interest vectors of several {property_name}, {sorted(values)}, "
                f"wanted one; {REFRESH_HINT}"
            )
    return VectorSummary(n, as_of, models[0])


def scale_to_unit_length(vectors: Floats) -> tuple[Flags, Floats]:
    """Return which vectors are usable, and those scaled to unit length.

    `vectors` has shape (n, size), the flags (n,), and the result as many rows as are usable.

    >>> scale_to_unit_length(np.array([[3.0, 4.0], [np.nan, 1.0], [0.0, 0.0]]))
    (array([ True, False, False]), array([[0.6, 0.8]]))
    """
    lengths = np.linalg.norm(vectors, axis=1)
    is_usable = np.isfinite(lengths) & (lengths > 0)
    return is_usable, vectors[is_usable] / lengths[is_usable, None]


def sample_vectors(profiles: DataFrame, n: int, seed: int) -> Floats:
    """Sample up to `n` usable vectors, scaled to unit length: (n or fewer, size).

    The users with the lowest hashes of id and seed are chosen. A new user can only replace one with
    a higher hash, so two runs sample nearly the same users.
    """
    sample = profiles.where(F.size(VECTOR_COLUMN) > 0).orderBy(F.xxhash64(F.lit(seed), "user_id"))
    vectors = sample.select(VECTOR_COLUMN).limit(n).toPandas()[VECTOR_COLUMN]
    if vectors.empty:
        return np.zeros((0, 0))
    return scale_to_unit_length(np.stack(list(vectors)).astype(np.float64))[1]


def nearest_centroid(vectors: Floats, centroids: Floats) -> tuple[Longs, Floats]:
    """Find the nearest centroid of each vector, and the vector's margin.

    `vectors` has shape (n, size), `centroids` (k, size), and both results (n,). The margin is the
    simplified silhouette (Hruschka et al. 2004): 1 minus the ratio of the distances to the nearest
    and to the second nearest centroid. It is 1 if there is only one centroid.
    """
    squares = (vectors**2).sum(1)[:, None] + (centroids**2).sum(1) - 2 * vectors @ centroids.T
    distances = np.sqrt(np.maximum(squares, 0))
    cluster = distances.argmin(1).astype(np.int32)
    if len(centroids) == 1:
        return cluster, np.ones(len(vectors))
    nearest, second = np.partition(distances, 1, axis=1)[:, :2].T
    return cluster, 1 - nearest / np.maximum(second, np.finfo(float).tiny)


def assign_clusters(profiles: DataFrame, centroids: Floats) -> DataFrame:
    """Assign users with a usable vector to the nearest cluster.

    Returns user_id, cluster (from 0) and cluster_margin.
    """
    return _map_unit_vectors(
        profiles,
        "cluster int, cluster_margin double",
        lambda unit_vectors: nearest_centroid(unit_vectors, centroids),
    )


def score_users(profiles: DataFrame, weights: Floats, intercept: float) -> DataFrame:
    """Score users with a usable vector by a logistic regression.

    `weights` has shape (size,). Returns user_id and score, from 0 to 1.
    """

    def scores(unit_vectors: Floats) -> tuple[Floats]:
        return (1 / (1 + np.exp(-(unit_vectors @ weights + intercept))),)

    return _map_unit_vectors(profiles, "score double", scores)


def _map_unit_vectors(
    profiles: DataFrame, columns: str, function: Callable[[Floats], Sequence[np.ndarray]]
) -> DataFrame:
    """Return user_id and `columns`, a schema, that `function` computes of unit vectors."""

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        freeze_loaded_modules()
        for batch in batches:
            flat = batch[VECTOR_COLUMN].flatten().to_numpy(zero_copy_only=False)
            is_usable, unit_vectors = scale_to_unit_length(
                flat.reshape(batch.num_rows, -1).astype(np.float64)
            )
            users = batch["user_id"].filter(pa.array(is_usable))
            arrays = map(pa.array, function(unit_vectors))
            yield pa.RecordBatch.from_arrays([users, *arrays], names)

    names = ["user_id", *[column.split()[0] for column in columns.split(", ")]]
    with_vector = profiles.where(F.size(VECTOR_COLUMN) > 0).select("user_id", VECTOR_COLUMN)
    return with_vector.mapInArrow(compute, f"user_id string, {columns}")
