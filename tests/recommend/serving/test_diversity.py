"""Test how lists keep their order or make room for different items."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_lib.recommend.serving.diversity import diversify

SHOE, OTHER_SHOE, HAT = (1.0, 0.0), (1.0, 0.0), (0.0, 1.0)


def test_a_second_similar_item_comes_after_a_different_one():
    scores = np.array([[3.0, 2.9, 1.0]])
    vectors = np.array([[SHOE, OTHER_SHOE, HAT]])
    assert diversify(scores, vectors, 3, relevance_weight=0.5).tolist() == [[0, 2, 1]]
    assert diversify(scores, vectors, 3, relevance_weight=1.0).tolist() == [[0, 1, 2]]


def test_a_shorter_list_ends_with_minus_one():
    scores = np.array([[3.0, -np.inf], [3.0, 2.0]])
    vectors = np.zeros((2, 2, 2))
    assert diversify(scores, vectors, 3, relevance_weight=0.7).tolist() == [[0, -1, -1], [0, 1, -1]]


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.floats(0, 1), st.integers(0, 99))
def test_no_item_is_listed_twice_and_a_weight_of_one_keeps_the_order(length, k, weight, seed):
    rng = np.random.default_rng(seed)
    scores = -np.sort(-rng.normal(size=(3, length)), axis=1)
    vectors = rng.normal(size=(3, length, 4))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    for row in diversify(scores, vectors, k, weight):
        listed = row[row >= 0]
        assert len(set(listed)) == len(listed) == min(k, length)
    in_order = diversify(scores, vectors, k, relevance_weight=1.0)[:, : min(k, length)]
    assert (in_order == np.arange(min(k, length))).all()
