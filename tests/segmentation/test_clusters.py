"""Check clusters of vectors whose true clusters are known."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from profile_lib.errors import InputError
from profile_lib.segmentation.clusters import find_clusters
from profile_lib.segmentation.interest_vectors import nearest_centroid, scale_to_unit_length

OPTIONS = {"seed": 1, "silhouette_users": 200}


def make_vectors(n_clusters: int, n_users: int = 120, spread: float = 0.1, seed: int = 0):
    """Unit vectors near the first axes in turn, (n_users, 6), and the number of the axis."""
    rng = np.random.default_rng(seed)
    axis = np.arange(n_users) % n_clusters
    return scale_to_unit_length(np.eye(6)[axis] + rng.normal(0, spread, (n_users, 6)))[1], axis


def test_three_clear_clusters_are_found():
    vectors, axis = make_vectors(3)
    clustering = find_clusters(vectors, range(2, 7), **OPTIONS)
    cluster, _ = nearest_centroid(vectors, clustering.centroids)
    assert len(clustering.centroids) == 3
    assert len(set(zip(cluster, axis, strict=True))) == 3
    assert clustering.seed_adjusted_rand == 1.0
    assert clustering.silhouette > 0.7


def test_the_previous_number_of_clusters_is_kept_unless_another_gains_enough():
    vectors, axis = make_vectors(4)
    three = find_clusters(vectors, [3], **OPTIONS)
    kept = find_clusters(
        vectors, range(2, 7), previous_centroids=three.centroids, min_silhouette_gain=0.9, **OPTIONS
    )
    changed = find_clusters(
        vectors,
        range(2, 7),
        previous_centroids=three.centroids,
        min_silhouette_gain=0.05,
        **OPTIONS,
    )
    assert (len(kept.centroids), len(changed.centroids)) == (3, 4)


def test_a_run_starts_from_the_previous_centroids():
    vectors, _ = make_vectors(3)
    previous = find_clusters(vectors, [3], **OPTIONS).centroids[[2, 0, 1]]
    clustering = find_clusters(vectors, [3], previous_centroids=previous, **OPTIONS)
    assert clustering.centroids == pytest.approx(previous)


def test_equal_vectors_are_one_cluster():
    vectors = np.tile([[0.6, 0.8]], (20, 1))
    with pytest.warns(match="Number of distinct clusters"):
        clustering = find_clusters(vectors, [2, 3], **OPTIONS)
    assert clustering.centroids == pytest.approx(np.array([[0.6, 0.8]]))
    assert clustering.silhouette == -1.0


def test_too_few_vectors_are_refused():
    with pytest.raises(InputError, match="4 usable interest vectors, wanted more than"):
        find_clusters(np.eye(4), [4, 5], **OPTIONS)


def test_the_margin_is_one_at_a_centroid_and_zero_half_way_between_two():
    centroids = np.array([[1.0, 0.0], [0.0, 1.0]])
    cluster, margin = nearest_centroid(np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.6]]), centroids)
    assert cluster.tolist() == [0, 0, 0]
    assert margin == pytest.approx([1.0, 1 - np.sqrt(0.4 / 0.8), 0.0])
    assert nearest_centroid(centroids, centroids[:1])[1].tolist() == [1.0, 1.0]


def test_the_margin_is_the_silhouette_if_each_cluster_is_a_point():
    vectors = np.repeat(np.eye(3), 2, axis=0)
    cluster, margin = nearest_centroid(vectors, np.eye(3))
    assert margin == pytest.approx(silhouette_samples(vectors, cluster))
