"""Test the items of the most similar users."""

import numpy as np
import pytest
from scipy import sparse

from profile_lib.recommend.candidates.user_neighbours import UserNeighbours
from profile_lib.recommend.data.arrow_columns import MISSING
from tests.recommend.request_rows import make_requests

A, B, C, D = range(4)


def neighbours_of(interactions, similarity="cosine", n_neighbours=3, max_users_per_item=9):
    matrix = sparse.csr_array(np.array(interactions, np.float32))
    return UserNeighbours(matrix, similarity, n_neighbours, max_users_per_item, decay=1.0)


@pytest.mark.parametrize(
    ("similarity", "to_first", "to_second"),
    [
        ("cosine", 2 / 2, 1 / np.sqrt(2 * 3)),
        ("jaccard", 2 / 2, 1 / 4),
        ("pearson", 1.0, 0.0),  # -1/3: less similar than by chance is no neighbour
    ],
)
def test_a_score_sums_the_similarities_of_neighbours(similarity, to_first, to_second):
    source = neighbours_of([[1, 1, 0, 0], [1, 0, 1, 1]], similarity, n_neighbours=2)
    scores = source.scores(make_requests([A, B]), k=4).toarray()[0]
    first = 2 * to_first  # the first neighbour shares both of the user's items
    expected = [first + to_second, first, to_second, to_second]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_the_item_most_often_shared_with_the_candidate_explains_it():
    source = neighbours_of([[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 1, 0]])
    explained = source.explain(make_requests([B, A]), np.array([0, 0]), np.array([C, D]))
    assert explained.tolist() == [A, MISSING]


def test_only_the_most_recent_users_of_an_item_are_compared():
    source = neighbours_of([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], max_users_per_item=2)
    scores = source.scores(make_requests([A]), k=4).toarray()[0]
    assert scores[[B, C, D]].tolist() == pytest.approx([1 / np.sqrt(2), 1 / np.sqrt(2), 0])
