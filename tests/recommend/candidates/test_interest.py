"""Test the items near an interest vector, exactly and by a graph."""

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.interest import Interest
from profile_lib.recommend.candidates.shared.vector_index import VectorIndex
from profile_lib.recommend.data.vectors import normalise_rows
from tests.recommend.request_rows import make_requests

IDENTITY = np.array([[1, 0], [0, 1], [0, 0]], np.float32)  # interests are text vectors already


@pytest.mark.parametrize("approximate_search_from", [1000, 10])
def test_the_nearest_items_are_candidates_of_users_with_an_interest(approximate_search_from):
    vectors = normalise_rows(np.random.default_rng(1).normal(size=(500, 2)))
    index = VectorIndex.build(vectors, approximate_search_from)
    assert index.is_exact == (approximate_search_from > 500)
    requests = make_requests([], [], interest_vectors=[[1.0, 0.0], [np.nan, 0.0]])
    scores = Interest(index, IDENTITY).scores(requests, k=5)
    nearest = np.argsort(-vectors[:, 0])[:5]
    assert sorted(scores[[0]].indices) == sorted(nearest)
    assert scores[[1]].nnz == 0


def test_a_vector_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="1 of 2 hold a value that is not finite, the first .* 1;"):
        VectorIndex.build(np.array([[0.0, 1.0], [np.nan, 1.0]]), approximate_search_from=10)
