"""Find clusters in a sample of interest vectors, on the driver."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from profile_lib.arrays.types import Floats, Longs
from profile_lib.errors import InputError
from profile_lib.segmentation.interest_vectors import nearest_centroid
from profile_lib.segmentation.stability import adjusted_rand, contingency_table

N_STARTS = 4  # runs of k-means from random centroids; the best one is used


@dataclass(frozen=True)
class Clustering:
    """Centroids, (k, size), with measures of how separate and how stable the clusters are.

    `silhouette` is the mean over a sample. `seed_adjusted_rand` is the adjusted Rand index compared
    with the clusters of another random seed.
    """

    centroids: Floats
    silhouette: float
    seed_adjusted_rand: float


def find_clusters(
    vectors: Floats,
    cluster_counts: Iterable[int],
    *,
    seed: int,
    silhouette_users: int,
    previous_centroids: Floats | None = None,
    min_silhouette_gain: float = 0.0,
) -> Clustering:
    """Cluster vectors, (n, size), by k-means (Lloyd 1982) with the best of `cluster_counts`.

    The best count has the highest mean silhouette (Rousseeuw 1987) over the first
    `silhouette_users` vectors; of equal counts it is the smallest. With as many clusters as
    `previous_centroids`, k-means starts from these. Their number is kept unless another count has a
    silhouette higher by at least `min_silhouette_gain`, so that clusters do not appear and
    disappear by chance. A cluster without members is left out.

    Raises InputError if no count is smaller than the number of vectors.
    """
    cluster_counts = [k for k in cluster_counts if k < len(vectors)]
    if not cluster_counts:
        raise InputError(
            f"user_profiles: {len(vectors):,} usable interest vectors, wanted more than "
            "segments.min_clusters; lower that, or refresh more profiles"
        )
    centroids = {k: _fit(vectors, k, seed, previous_centroids) for k in cluster_counts}
    sample = vectors[:silhouette_users]
    silhouettes = {k: _silhouette(sample, centroids[k]) for k in cluster_counts}
    best = max(cluster_counts, key=lambda k: (silhouettes[k], -k))
    previous_k = None if previous_centroids is None else len(previous_centroids)
    if previous_k in silhouettes:
        min_silhouette = silhouettes[previous_k] + min_silhouette_gain
        best = previous_k if silhouettes[best] < min_silhouette else best
    other_centroids = _fit(vectors, best, seed + 1, None)
    labels = nearest_centroid(vectors, centroids[best])[0]
    other_labels = nearest_centroid(vectors, other_centroids)[0]
    rand = adjusted_rand(contingency_table(labels, other_labels))
    return Clustering(centroids[best], silhouettes[best], rand)


def _fit(vectors: Floats, k: int, seed: int, previous_centroids: Floats | None) -> Floats:
    continues = previous_centroids is not None and len(previous_centroids) == k
    start = {"init": previous_centroids, "n_init": 1} if continues else {"n_init": N_STARTS}
    kmeans = KMeans(k, random_state=seed, **start).fit(vectors)
    return kmeans.cluster_centers_[np.unique(kmeans.labels_)]


def _silhouette(vectors: Floats, centroids: Floats) -> float:
    labels: Longs = nearest_centroid(vectors, centroids)[0]
    n_labels = len(np.unique(labels))
    if not 1 < n_labels < len(labels):
        return -1.0  # it is undefined; as the lowest value it makes any other count better
    return float(silhouette_score(vectors, labels))
