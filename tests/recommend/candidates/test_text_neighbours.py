"""Test the projection of text vectors and the neighbours by text."""

import numpy as np
import pytest
from pyspark.testing import assertDataFrameEqual
from sklearn.decomposition import PCA

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.shared.text_projection import TextProjection
from profile_lib.recommend.candidates.text_neighbours import find_text_neighbours

NAN = np.nan


def test_projected_vectors_are_principal_components_of_length_one():
    vectors = np.random.default_rng(3).normal(size=(50, 6)) * [5, 3, 2, 1, 1, 1] + 7
    expected = PCA(2).fit_transform(vectors)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    projected = TextProjection.fit(vectors, 2).project(vectors)
    np.testing.assert_allclose(np.abs(projected), np.abs(expected), atol=1e-5)


def test_a_vector_that_is_not_finite_stays_so_and_does_not_affect_the_others():
    vectors = np.array([[1.0, 0], [3.0, 0], [NAN, 0]])
    projected = TextProjection.fit(vectors, 1).project(vectors)
    np.testing.assert_allclose(projected, [[-1], [1], [NAN]])


def test_a_shop_without_any_text_is_refused():
    with pytest.raises(InputError, match="none has a text with a vector"):
        TextProjection.fit(np.full((2, 3), NAN), 1)


def test_the_nearest_other_items_are_neighbours_if_their_cosine_is_positive(spark):
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
    neighbours = find_text_neighbours(
        spark, vectors, np.ones(4), max_neighbours=1, approximate_search_from=100
    )
    expected = [(0, 1, 0.8), (1, 0, 0.8), (2, 1, 0.6)]
    assertDataFrameEqual(
        neighbours, spark.createDataFrame(expected, "item int, neighbour int, weight float")
    )


def test_a_neighbour_of_a_greater_weight_precedes_a_nearer_one(spark):
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
    neighbours = find_text_neighbours(
        spark, vectors, np.array([1, 1, 2]), max_neighbours=1, approximate_search_from=100
    )
    expected = spark.createDataFrame([(2, 1.2)], "neighbour int, weight float")
    assertDataFrameEqual(neighbours.where("item = 0").select("neighbour", "weight"), expected)
