"""Vectors of a sample of users in, the centroids of clusters out: driver only."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.errors import InputError
from profile_lib.segmentation.interest_vectors import nearest_centroid
from profile_lib.segmentation.stability import adjusted_rand, contingency_table

N_STARTS = 4  # of k-means, of which the best is taken


@dataclass(frozen=True)
class Clustering:
    """`centroids`: (k, size); mean silhouette; adjusted Rand index against another seed."""

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
    """K-means (Lloyd 1982) of (n, size) for that of `cluster_counts` with the best mean silhouette.

    Of equal ones the smaller. As many clusters as there are `previous_centroids` begin at these, and
    their number stays unless another's silhouette is `min_silhouette_gain` higher: else clusters would come
    and go by chance. The silhouette (Rousseeuw 1987) is of the first `silhouette_users`. A cluster
    without members is left out. Raises InputError where there are no more vectors than clusters.
    """
    cluster_counts = [k for k in cluster_counts if k < len(vectors)]
    if not cluster_counts:
        raise InputError(
            f"user_profiles: {len(vectors):,} usable interest vectors, wanted more than "
            "segments.min_clusters; lower that, or refresh more profiles"
        )
    found = {k: _fit(vectors, k, seed, previous_centroids) for k in cluster_counts}
    judges = vectors[:silhouette_users]
    silhouettes = {k: _silhouette(judges, centroids) for k, centroids in found.items()}
    best = max(cluster_counts, key=lambda k: (silhouettes[k], -k))
    kept = None if previous_centroids is None else len(previous_centroids)
    if kept in silhouettes and silhouettes[best] < silhouettes[kept] + min_silhouette_gain:
        best = kept
    other = _fit(vectors, best, seed + 1, None)
    labels, other_labels = (
        nearest_centroid(vectors, found[best])[0],
        nearest_centroid(vectors, other)[0],
    )
    rand = adjusted_rand(contingency_table(labels, other_labels))
    return Clustering(found[best], silhouettes[best], rand)


def _fit(vectors: Floats, k: int, seed: int, previous_centroids: Floats | None) -> Floats:
    is_known = previous_centroids is not None and len(previous_centroids) == k
    begin = {"init": previous_centroids, "n_init": 1} if is_known else {"n_init": N_STARTS}
    means = KMeans(k, random_state=seed, **begin).fit(vectors)
    return means.cluster_centers_[np.unique(means.labels_)]


def _silhouette(vectors: Floats, centroids: Floats) -> float:
    labels: Longs = nearest_centroid(vectors, centroids)[0]
    n_labels = len(np.unique(labels))
    if not 1 < n_labels < len(labels):
        return -1.0  # it is not defined; any other number is better
    return float(silhouette_score(vectors, labels))
