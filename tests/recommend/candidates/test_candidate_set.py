"""Test how the proposals of several sources are joined."""

import numpy as np

from profile_lib.recommend.candidates.candidate_set import (
    explain_candidates,
    interacted_before,
    propose_candidates,
    score_pairs,
    select_strongest,
)
from profile_lib.recommend.data.arrow_columns import MISSING
from tests.recommend.request_rows import FixedSource, make_requests

A, B, C, D = range(4)
NAN = np.nan
SOURCES = {
    "bought together": FixedSource([[0, 3, 4, 0], [0, 0, 0, 0]], explanation=A),
    "popular": FixedSource([[0, 0, 1, 2], [9, 0, 0, 0]]),
}


def test_a_pair_that_two_sources_propose_is_one_candidate_with_both_scores():
    pairs = propose_candidates(SOURCES, make_requests([A], []), k=2)
    assert pairs.sources == ("bought together", "popular")
    assert pairs.user.tolist() == [0, 0, 0, 1]
    assert pairs.item.tolist() == [B, C, D, A]
    np.testing.assert_array_equal(pairs.scores, [[3, NAN], [4, 1], [NAN, 2], [NAN, 9]])
    np.testing.assert_array_equal(pairs.source_ranks, [[2, NAN], [1, 2], [NAN, 1], [NAN, 1]])


def test_a_score_is_normalised_by_the_root_mean_square_of_its_source_and_user():
    pairs = propose_candidates(SOURCES, make_requests([A], []), k=2)
    scale = np.sqrt([(9 + 16) / 2, (1 + 4) / 2])
    expected = [[3 / scale[0], 0], [4 / scale[0], 1 / scale[1]], [0, 2 / scale[1]], [0, 1]]
    np.testing.assert_allclose(pairs.normalised_scores, expected, rtol=1e-6)


def test_leaving_pairs_out_does_not_change_the_scores_and_ranks_of_others():
    pairs = propose_candidates(SOURCES, make_requests([A], []), k=2)
    is_kept = np.array([True, False, True, True])
    kept = pairs.where(is_kept)
    np.testing.assert_array_equal(kept.source_ranks, pairs.source_ranks[is_kept])
    np.testing.assert_array_equal(kept.normalised_scores, pairs.normalised_scores[is_kept])


def test_pairs_are_scored_whether_or_not_a_source_proposes_them():
    requests = make_requests([A], [])
    pairs = score_pairs(SOURCES, requests, 2, np.array([0, 0]), np.array([A, C]))
    proposed = propose_candidates(SOURCES, requests, k=2)
    np.testing.assert_array_equal(pairs.source_ranks, [[NAN, NAN], [1, 2]])
    np.testing.assert_allclose(pairs.normalised_scores, [[0, 0], proposed.normalised_scores[1]])


def test_the_strongest_pairs_have_the_greatest_sum_of_normalised_scores():
    pairs = propose_candidates(SOURCES, make_requests([A], []), k=2)
    assert select_strongest(pairs, 1).item.tolist() == [C, A]  # one of each user
    assert select_strongest(pairs, 9).item.tolist() == pairs.item.tolist()


def test_the_source_that_ranks_a_pair_highest_explains_it():
    requests = make_requests([A], [])
    pairs = propose_candidates(SOURCES, requests, k=2)
    listed = pairs.positions_of(np.array([0, 0, 0, 1]), pairs.item)
    source, reason_item = explain_candidates(SOURCES, requests, pairs, listed)
    assert source.tolist() == [0, 0, 1, 1]
    assert reason_item.tolist() == [A, A, MISSING, MISSING]


def test_earlier_interactions_and_purchases_are_recognised():
    requests = make_requests([A, C], [D], bought=[[0, 1], [0]])
    pairs = propose_candidates({"x": FixedSource([[1, 1, 1, 0], [1, 0, 0, 0]])}, requests, k=4)
    assert interacted_before(requests, pairs, bought=False).tolist() == [True, False, True, False]
    assert interacted_before(requests, pairs, bought=True).tolist() == [False, False, True, False]
