"""A cluster is what its members are: the same users, the same id."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from profile_lib.segmentation.stability import (
    adjusted_rand,
    contingency_table,
    count_shared_users,
    match_clusters,
)


def test_clusters_keep_the_ids_of_those_whose_members_they_share():
    # The first new one is the second of before, the second is new, the third is the first.
    shared = np.array([[1, 0, 9], [8, 0, 0], [3, 2, 1]])
    matching = match_clusters(shared, [4, 7, 9], first_free_id=12, min_jaccard=0.5)
    assert matching.ids == [7, 12, 4]
    assert matching.jaccard == pytest.approx([8 / 12, np.nan, 9 / 11], nan_ok=True)
    assert matching.mean_jaccard == pytest.approx((9 / 11 + 8 / 12 + 2 / 6) / 3)
    assert matching.share_users_unchanged == pytest.approx(17 / 24)


def test_the_best_pairs_in_all_are_taken_not_the_best_of_each():
    shared = np.array([[6, 5], [5, 0]])
    assert match_clusters(shared, [1, 2], first_free_id=3, min_jaccard=0.2).ids == [2, 1]


def test_one_with_too_little_in_common_gets_an_id_that_was_never_given():
    matching = match_clusters(np.array([[2, 2]]), [5], first_free_id=9, min_jaccard=0.6)
    assert matching.ids == [9, 10]
    assert matching.share_users_unchanged == 0.0


def test_a_first_run_gives_ids_from_the_first_and_tells_of_no_former_one():
    matching = match_clusters(np.zeros((0, 3), np.int64), [], first_free_id=1, min_jaccard=0.5)
    assert matching.ids == [1, 2, 3]
    assert np.isnan(matching.jaccard).all()
    told = (matching.mean_jaccard, matching.share_users_unchanged, matching.adjusted_rand)
    assert told == (None, None, None)


def test_only_users_of_both_runs_are_counted(rows):
    former = rows("user_id string, cluster_id int", ("a", 7), ("b", 7), ("c", 3), ("d", None))
    now = rows("user_id string, cluster int", ("a", 1), ("b", 0), ("c", 1), ("d", 0), ("e", 0))
    assert count_shared_users(former, now, [3, 7], 2).tolist() == [[0, 1], [1, 1]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_adjusted_rand_index_is_what_scikit_learn_says(pairs):
    one, other = np.array(pairs).T
    expected = adjusted_rand_score(one, other)
    assert adjusted_rand(contingency_table(one, other)) == pytest.approx(expected)
