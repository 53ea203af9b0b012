"""A cluster is what its members are: the same users, the same id."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from profile_lib.segmentation.stability import (
    adjusted_rand,
    continuity,
    cross_table,
    shared_users,
)


def test_clusters_keep_the_ids_of_those_whose_members_they_share():
    # The first new one is the second of before, the second is new, the third is the first.
    shared = np.array([[1, 0, 9], [8, 0, 0], [3, 2, 1]])
    lasting = continuity(shared, [4, 7, 9], first_new=12, same_from=0.5)
    assert lasting.ids == [7, 12, 4]
    assert lasting.jaccard == pytest.approx([8 / 12, np.nan, 9 / 11], nan_ok=True)
    assert lasting.mean_jaccard == pytest.approx((9 / 11 + 8 / 12 + 2 / 6) / 3)
    assert lasting.share_staying == pytest.approx(17 / 24)


def test_the_best_pairs_in_all_are_taken_not_the_best_of_each():
    shared = np.array([[6, 5], [5, 0]])
    assert continuity(shared, [1, 2], first_new=3, same_from=0.2).ids == [2, 1]


def test_one_with_too_little_in_common_gets_an_id_that_was_never_given():
    lasting = continuity(np.array([[2, 2]]), [5], first_new=9, same_from=0.6)
    assert lasting.ids == [9, 10]
    assert lasting.share_staying == 0.0


def test_a_first_run_gives_ids_from_the_first_and_tells_of_no_former_one():
    lasting = continuity(np.zeros((0, 3), np.int64), [], first_new=1, same_from=0.5)
    assert lasting.ids == [1, 2, 3]
    assert np.isnan(lasting.jaccard).all()
    told = (lasting.mean_jaccard, lasting.share_staying, lasting.adjusted_rand)
    assert told == (None, None, None)


def test_only_users_of_both_runs_are_counted(rows):
    former = rows("user_id string, cluster_id int", ("a", 7), ("b", 7), ("c", 3), ("d", None))
    now = rows("user_id string, cluster int", ("a", 1), ("b", 0), ("c", 1), ("d", 0), ("e", 0))
    assert shared_users(former, now, [3, 7], 2).tolist() == [[0, 1], [1, 1]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_adjusted_rand_index_is_what_scikit_learn_says(pairs):
    one, other = np.array(pairs).T
    expected = adjusted_rand_score(one, other)
    assert adjusted_rand(cross_table(one, other)) == pytest.approx(expected)
