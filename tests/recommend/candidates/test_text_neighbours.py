"""Items near each other by their texts."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.text_neighbours import TextProjection, find_text_neighbours

NAN = np.nan


def test_short_vectors_are_the_principal_components_at_length_one():
    vectors = np.random.default_rng(3).normal(size=(50, 6)) * [5, 3, 2, 1, 1, 1] + 7
    wanted = PCA(2).fit_transform(vectors)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = TextProjection.fit(vectors, 2).project(vectors)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-5)


def test_a_vector_that_is_no_number_stays_so_and_does_not_spoil_the_others():
    vectors = np.array([[1.0, 0], [3.0, 0], [NAN, 0]])
    np.testing.assert_allclose(TextProjection.fit(vectors, 1).project(vectors), [[-1], [1], [NAN]])


def test_a_shop_without_a_text_is_told():
    with pytest.raises(InputError, match="none has a text with a vector"):
        TextProjection.fit(np.full((2, 3), NAN), 1)


def test_of_each_item_the_nearest_others(spark):
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
    found = find_text_neighbours(
        spark, vectors, np.ones(4), max_neighbours=1, approximate_search_from=100
    ).collect()
    assert sorted((r.item, r.neighbour, round(r.weight, 6)) for r in found) == [
        (0, 1, 0.8),
        (1, 0, 0.8),
        (2, 1, 0.6),
    ]  # nobody is near the last one


def test_a_neighbour_that_is_worth_more_stands_before_a_nearer_one(spark):
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
    found = find_text_neighbours(
        spark, vectors, np.array([1, 1, 2]), max_neighbours=1, approximate_search_from=100
    ).collect()
    assert [(r.neighbour, round(r.weight, 6)) for r in found if r.item == 0] == [(2, 1.2)]
