"""Test the closed forms against numpy's inverse, item by item."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.testing import assertDataFrameEqual

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.ease import ease_neighbours
from profile_lib.recommend.candidates.ridge import past_and_future, ridge_neighbours
from profile_lib.recommend.candidates.shared.closed_form import invert_in_place
from profile_lib.recommend.candidates.shared.item_to_item import neighbour_matrix
from tests.recommend.walks import walk_frame, walk_requests

N_ITEMS, L2 = 6, 1.5
RULES = {"n_items": N_ITEMS, "l2": L2, "max_neighbours": N_ITEMS, "max_items": N_ITEMS}
WALKS = st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1), min_size=2, max_size=8)


def positive_neighbours(weights):
    np.fill_diagonal(weights, 0)
    return np.maximum(weights, 0)


@settings(max_examples=5, deadline=None)
@given(WALKS)
def test_ease_equals_the_closed_form_in_numpy(spark, walks):
    interactions = np.array([[item in walk for item in range(N_ITEMS)] for walk in walks], float)
    inverted = np.linalg.inv(interactions.T @ interactions + L2 * np.eye(N_ITEMS))
    weights = neighbour_matrix(ease_neighbours(walk_frame(spark, walks), **RULES), N_ITEMS)
    expected = positive_neighbours(-inverted / np.diag(inverted))
    assert weights.toarray() == pytest.approx(expected, abs=1e-5)


@settings(max_examples=5, deadline=None)
@given(WALKS)
def test_ridge_equals_the_solution_of_numpy(spark, walks):
    past, future = [], []
    for walk in walks:
        for position in range(1, len(walk)):
            past.append(np.zeros(N_ITEMS))
            future.append(np.zeros(N_ITEMS))
            for gap, item in enumerate(walk[:position][::-1]):
                past[-1][item] += 0.5**gap
            for gap, item in enumerate(walk[position:]):
                future[-1][item] += 0.25**gap
    x, y = np.array(past).reshape(-1, N_ITEMS), np.array(future).reshape(-1, N_ITEMS)
    expected = positive_neighbours(np.linalg.solve(x.T @ x + L2 * np.eye(N_ITEMS), x.T @ y))
    frame = walk_frame(spark, walks)
    neighbours = ridge_neighbours(frame, decay=0.5, future_decay=0.25, **RULES)
    assert neighbour_matrix(neighbours, N_ITEMS).toarray() == pytest.approx(expected, abs=0.02)


def test_past_and_future_decay_with_the_distance():
    past, future = past_and_future(walk_requests([(0, 1, 2), (3,)]).histories, 4, 0.5, 0.25)
    assert past.toarray().tolist() == [[1, 0, 0, 0], [0.5, 1, 0, 0]]
    assert future.toarray().tolist() == [[0, 1, 0.25, 0], [0, 0, 1, 0]]


def test_the_greatest_weights_are_kept_and_equal_ones_by_item_number(spark):
    histories = walk_frame(spark, [(0, 1, 2), (0, 1), (0, 3), (4,), (5,)])
    neighbours = ease_neighbours(histories, **RULES | {"max_neighbours": 1})
    expected = [(0, 1), (1, 0), (2, 1), (3, 0)]
    assertDataFrameEqual(
        neighbours.select("item", "neighbour"),
        spark.createDataFrame(expected, "item int, neighbour int"),
    )


def test_more_items_than_a_task_may_hold_are_refused(spark):
    with pytest.raises(InputError, match="over 6 items .* wanted at most 5 items"):
        ease_neighbours(walk_frame(spark, [(0, 1)]), **RULES | {"max_items": 5})


def test_a_matrix_without_an_inverse_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="row 2"):
        invert_in_place(np.ones((2, 2), np.float32))
