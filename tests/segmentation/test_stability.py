"""Check how clusters of two runs are matched by their users."""

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


def test_a_cluster_keeps_the_id_of_the_previous_one_with_most_common_users():
    # The first new cluster continues the second previous one, the third continues the first.
    shared = np.array([[1, 0, 9], [8, 0, 0], [3, 2, 1]])
    matching = match_clusters(shared, [4, 7, 9], first_free_id=12, min_jaccard=0.5)
    assert matching.ids == [7, 12, 4]
    assert matching.jaccard == pytest.approx([8 / 12, np.nan, 9 / 11], nan_ok=True)
    assert matching.mean_jaccard == pytest.approx((9 / 11 + 8 / 12 + 2 / 6) / 3)
    assert matching.share_users_unchanged == pytest.approx(17 / 24)


def test_pairs_maximise_the_sum_of_jaccard_indices():
    shared = np.array([[6, 5], [5, 0]])
    assert match_clusters(shared, [1, 2], first_free_id=3, min_jaccard=0.2).ids == [2, 1]


def test_a_cluster_with_too_few_common_users_gets_a_new_id():
    matching = match_clusters(np.array([[2, 2]]), [5], first_free_id=9, min_jaccard=0.6)
    assert matching.ids == [9, 10]
    assert matching.share_users_unchanged == 0.0


def test_a_first_run_has_new_ids_and_no_measures_of_agreement():
    matching = match_clusters(np.zeros((0, 3), np.int64), [], first_free_id=1, min_jaccard=0.5)
    assert matching.ids == [1, 2, 3]
    assert np.isnan(matching.jaccard).all()
    measures = (matching.mean_jaccard, matching.share_users_unchanged, matching.adjusted_rand)
    assert measures == (None, None, None)


def test_only_users_of_both_runs_are_counted(rows):
    previous = rows("user_id string, cluster_id int", ("a", 7), ("b", 7), ("c", 3), ("d", None))
    current = rows("user_id string, cluster int", ("a", 1), ("b", 0), ("c", 1), ("d", 0), ("e", 0))
    assert count_shared_users(previous, current, [3, 7], 2).tolist() == [[0, 1], [1, 1]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_adjusted_rand_index_equals_that_of_scikit_learn(pairs):
    one, other = np.array(pairs).T
    expected = adjusted_rand_score(one, other)
    assert adjusted_rand(contingency_table(one, other)) == pytest.approx(expected)
