"""The best of each row, whatever is stored and however long a row is."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from profile_lib.recommend.candidates.top_k import top_k, top_k_dense

N_ITEMS = 40
SCORE = st.sampled_from([np.nan, -np.inf, -1.0, 0.0, 0.5, 1.0, 2.0])
ROWS = st.lists(st.dictionaries(st.integers(0, N_ITEMS - 1), SCORE), min_size=1, max_size=4)


def stored(rows):
    """Rows in the order in which they were told: indices need not be sorted."""
    bounds = np.cumsum([0, *[len(row) for row in rows]])
    items = np.array([item for row in rows for item in row], np.int32)
    values = np.array([score for row in rows for score in row.values()], np.float32)
    return sparse.csr_array((values, items, bounds), shape=(len(rows), N_ITEMS))


def told(found):
    """Of each row the items with their scores, in order."""
    bounds = zip(found.indptr[:-1], found.indptr[1:], strict=True)
    return [
        list(zip(found.indices[a:b].tolist(), found.data[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


def expected(row, k):
    known = [(item, score) for item, score in row.items() if score > -np.inf]
    return sorted(known, key=lambda pair: (-pair[1], pair[0]))[:k]


@settings(deadline=None)
@given(ROWS, st.integers(1, 5))
def test_the_highest_stand_first_and_equal_ones_by_their_number(rows, k):
    assert told(top_k(stored(rows), k)) == [expected(row, k) for row in rows]


@settings(deadline=None)
@given(st.lists(st.lists(SCORE, min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 7))
def test_of_scores_of_all_items_the_same(rows, k):
    found = top_k_dense(np.array(rows, np.float32), k)
    assert told(found) == [expected(dict(enumerate(row)), k) for row in rows]
