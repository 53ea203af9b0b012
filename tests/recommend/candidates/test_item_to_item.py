"""Test the scores of items similar to those of the history."""

import numpy as np
import pytest
from scipy import sparse

from profile_lib.recommend.candidates.item_neighbours import ItemNeighbours
from profile_lib.recommend.data.arrow_columns import MISSING
from tests.recommend.request_rows import make_requests

A, B, C, D = range(4)


@pytest.fixture
def source():
    cells = ([1.0, 0.5, 1.0], ([A, A, B], [C, D, D]))
    return ItemNeighbours(sparse.csr_array(cells, shape=(4, 4), dtype=np.float32), decay=0.5)


def test_a_score_sums_similarities_and_the_last_item_counts_most(source):
    scores = source.scores(make_requests([A, B], [A], []), k=2)
    assert scores.toarray().tolist() == [[0, 0, 0.5, 1.25], [0, 0, 1, 0.5], [0, 0, 0, 0]]


def test_only_the_k_best_items_are_candidates(source):
    assert source.scores(make_requests([A, B]), k=1).toarray().tolist() == [[0, 0, 0, 1.25]]


def test_the_step_that_adds_most_explains_the_item(source):
    requests = make_requests([A, B], [A])
    explained = source.explain(requests, np.array([0, 0, 1, 1]), np.array([D, C, D, B]))
    assert explained.tolist() == [B, A, A, MISSING]
