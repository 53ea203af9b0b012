"""K-means on worlds of clear clusters."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from profile_lib.errors import InputError
from profile_lib.segmentation.clusters import find_clusters
from profile_lib.segmentation.interest_vectors import nearest_centroid, scale_to_unit_length

RULES = {"seed": 1, "silhouette_users": 200}


def world(n_clusters: int, n_users: int = 120, spread: float = 0.1, seed: int = 0):
    """Users around the first axes, one after the other: (n_users, 6), and around which."""
    rng = np.random.default_rng(seed)
    around = np.arange(n_users) % n_clusters
    return scale_to_unit_length(np.eye(6)[around] + rng.normal(0, spread, (n_users, 6)))[1], around


def test_three_clear_clusters_are_found():
    vectors, around = world(3)
    found = find_clusters(vectors, range(2, 7), **RULES)
    cluster, _ = nearest_centroid(vectors, found.centroids)
    assert len(found.centroids) == 3
    assert len(set(zip(cluster, around, strict=True))) == 3
    assert found.seed_adjusted_rand == 1.0
    assert found.silhouette > 0.7


def test_a_former_number_stays_unless_another_is_clearly_better():
    vectors, around = world(4)
    three = find_clusters(vectors, [3], **RULES)
    stays = find_clusters(
        vectors, range(2, 7), previous_centroids=three.centroids, min_silhouette_gain=0.9, **RULES
    )
    goes = find_clusters(
        vectors, range(2, 7), previous_centroids=three.centroids, min_silhouette_gain=0.05, **RULES
    )
    assert (len(stays.centroids), len(goes.centroids)) == (3, 4)


def test_a_run_begins_where_the_former_one_ended():
    vectors, _ = world(3)
    former = find_clusters(vectors, [3], **RULES).centroids[[2, 0, 1]]
    again = find_clusters(vectors, [3], previous_centroids=former, **RULES)
    assert again.centroids == pytest.approx(former)


def test_vectors_that_are_all_alike_are_one_cluster():
    vectors = np.tile([[0.6, 0.8]], (20, 1))
    with pytest.warns(match="Number of distinct clusters"):
        found = find_clusters(vectors, [2, 3], **RULES)
    assert found.centroids == pytest.approx(np.array([[0.6, 0.8]]))
    assert found.silhouette == -1.0


def test_too_few_vectors_for_a_cluster_are_told():
    with pytest.raises(InputError, match="4 usable interest vectors, wanted more than"):
        find_clusters(np.eye(4), [4, 5], **RULES)


def test_the_margin_is_one_at_a_centroid_and_nothing_half_way():
    centroids = np.array([[1.0, 0.0], [0.0, 1.0]])
    cluster, margin = nearest_centroid(np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.6]]), centroids)
    assert cluster.tolist() == [0, 0, 0]
    assert margin == pytest.approx([1.0, 1 - np.sqrt(0.4 / 0.8), 0.0])
    assert nearest_centroid(centroids, centroids[:1])[1].tolist() == [1.0, 1.0]


def test_the_margin_is_the_silhouette_where_each_cluster_is_a_point():
    vectors = np.repeat(np.eye(3), 2, axis=0)
    cluster, margin = nearest_centroid(vectors, np.eye(3))
    assert margin == pytest.approx(silhouette_samples(vectors, cluster))
