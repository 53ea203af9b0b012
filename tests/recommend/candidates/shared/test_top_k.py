"""Test the selection of each row's highest scores."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from profile_lib.recommend.candidates.shared.top_k import top_k, top_k_dense

N_ITEMS = 40
SCORE = st.sampled_from([np.nan, -np.inf, -1.0, 0.0, 0.5, 1.0, 2.0])
ROWS = st.lists(st.dictionaries(st.integers(0, N_ITEMS - 1), SCORE), min_size=1, max_size=4)


def unsorted_matrix(rows):
    """Store each row's items in the given order, not sorted."""
    bounds = np.cumsum([0, *[len(row) for row in rows]])
    items = np.array([item for row in rows for item in row], np.int32)
    values = np.array([score for row in rows for score in row.values()], np.float32)
    return sparse.csr_array((values, items, bounds), shape=(len(rows), N_ITEMS))


def stored_rows(matrix):
    """List each row's items with their scores, in the stored order."""
    bounds = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    return [
        list(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


def expected_row(row, k):
    finite = [(item, score) for item, score in row.items() if score > -np.inf]
    return sorted(finite, key=lambda pair: (-pair[1], pair[0]))[:k]


@settings(deadline=None)
@given(ROWS, st.integers(1, 5))
def test_the_highest_scores_come_first_and_equal_ones_by_item_number(rows, k):
    assert stored_rows(top_k(unsorted_matrix(rows), k)) == [expected_row(row, k) for row in rows]


@settings(deadline=None)
@given(st.lists(st.lists(SCORE, min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 7))
def test_scores_of_all_items_give_the_same_rows(rows, k):
    top = top_k_dense(np.array(rows, np.float32), k)
    assert stored_rows(top) == [expected_row(dict(enumerate(row)), k) for row in rows]
