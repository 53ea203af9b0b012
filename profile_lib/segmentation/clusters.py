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

N_STARTS = 4  # of k-means; the best one counts


@dataclass(frozen=True)
class Clustering:
    """Centroids, (k, size), their mean silhouette, and their agreement with another seed.

    `seed_adjusted_rand` is the adjusted Rand index compared with the clusters of another seed.
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
    `silhouette_users` vectors; among equal ones the smallest. A run with as many clusters as
    `previous_centroids` starts from these, and their number is kept unless another count gains at
    least `min_silhouette_gain`, so that clusters do not come and go by chance. A cluster without
    members is left out.

    Raises InputError if there are no more vectors than clusters.
    """
    cluster_counts = [k for k in cluster_counts if k < len(vectors)]
    if not cluster_counts:
        raise InputError(
            f"user_profiles: {len(vectors):,} usable interest vectors, wanted more than "
            "segments.min_clusters; lower that, or refresh more profiles"
        )
    centroids = {k: _fit(vectors, k, seed, previous_centroids) for k in cluster_counts}
    judged = vectors[:silhouette_users]
    silhouettes = {k: _silhouette(judged, centroids[k]) for k in cluster_counts}
    best = max(cluster_counts, key=lambda k: (silhouettes[k], -k))
    previous_k = None if previous_centroids is None else len(previous_centroids)
    if previous_k in silhouettes:
        gain_wanted = silhouettes[previous_k] + min_silhouette_gain
        best = previous_k if silhouettes[best] < gain_wanted else best
    other_centroids = _fit(vectors, best, seed + 1, None)
    labels = nearest_centroid(vectors, centroids[best])[0]
    other_labels = nearest_centroid(vectors, other_centroids)[0]
    rand = adjusted_rand(contingency_table(labels, other_labels))
    return Clustering(centroids[best], silhouettes[best], rand)


def _fit(vectors: Floats, k: int, seed: int, previous_centroids: Floats | None) -> Floats:
    continues = previous_centroids is not None and len(previous_centroids) == k
    start = {"init": previous_centroids, "n_init": 1} if continues else {"n_init": N_STARTS}
    means = KMeans(k, random_state=seed, **start).fit(vectors)
    return means.cluster_centers_[np.unique(means.labels_)]


def _silhouette(vectors: Floats, centroids: Floats) -> float:
    labels: Longs = nearest_centroid(vectors, centroids)[0]
    n_labels = len(np.unique(labels))
    if not 1 < n_labels < len(labels):
        return -1.0  # undefined, so any other count of clusters is better
    return float(silhouette_score(vectors, labels))
