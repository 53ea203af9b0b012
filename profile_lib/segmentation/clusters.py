"""Vectors of a sample of users in, the centroids of clusters out: driver only."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from profile_lib.errors import InputError
from profile_lib.segmentation.stability import adjusted_rand, cross_table
from profile_lib.segmentation.vectors import nearest
from profile_lib.segments import Floats, Longs

N_STARTS = 4  # of k-means, of which the best is taken


@dataclass(frozen=True)
class Clustering:
    """`centroids`: (k, size); mean silhouette; adjusted Rand index against another seed."""

    centroids: Floats
    silhouette: float
    seed_rand: float


def find_clusters(
    vectors: Floats,
    numbers: Iterable[int],
    *,
    seed: int,
    silhouette_users: int,
    former: Floats | None = None,
    better_by: float = 0.0,
) -> Clustering:
    """K-means (Lloyd 1982) of (n, size) for that of `numbers` with the best mean silhouette.

    Of equal ones the smaller. As many clusters as there are `former` centroids begin at these, and
    their number stays unless another's silhouette is `better_by` higher: else clusters would come
    and go by chance. The silhouette (Rousseeuw 1987) is of the first `silhouette_users`. A cluster
    without members is left out. Raises InputError where there are no more vectors than clusters.
    """
    numbers = [k for k in numbers if k < len(vectors)]
    if not numbers:
        raise InputError(
            f"user_profiles: {len(vectors):,} usable interest vectors, wanted more than "
            "segments.min_clusters; lower that, or refresh more profiles"
        )
    found = {k: _fit(vectors, k, seed, former) for k in numbers}
    judges = vectors[:silhouette_users]
    silhouettes = {k: _silhouette(judges, centroids) for k, centroids in found.items()}
    best = max(numbers, key=lambda k: (silhouettes[k], -k))
    kept = None if former is None else len(former)
    if kept in silhouettes and silhouettes[best] < silhouettes[kept] + better_by:
        best = kept
    other = _fit(vectors, best, seed + 1, None)
    labels, other_labels = nearest(vectors, found[best])[0], nearest(vectors, other)[0]
    rand = adjusted_rand(cross_table(labels, other_labels))
    return Clustering(found[best], silhouettes[best], rand)


def _fit(vectors: Floats, k: int, seed: int, former: Floats | None) -> Floats:
    is_known = former is not None and len(former) == k
    begin = {"init": former, "n_init": 1} if is_known else {"n_init": N_STARTS}
    means = KMeans(k, random_state=seed, **begin).fit(vectors)
    return means.cluster_centers_[np.unique(means.labels_)]


def _silhouette(vectors: Floats, centroids: Floats) -> float:
    labels: Longs = nearest(vectors, centroids)[0]
    n_labels = len(np.unique(labels))
    if not 1 < n_labels < len(labels):
        return -1.0  # it is not defined; any other number is better
    return float(silhouette_score(vectors, labels))
