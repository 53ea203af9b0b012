"""What sources name, brought together."""

import numpy as np

from profile_lib.recommend.candidates.candidate_set import (
    explain_candidates,
    interacted_before,
    propose_candidates,
    score_pairs,
    select_strongest,
)
from profile_lib.recommend.candidates.source import MISSING
from tests.recommend.asked import FixedSource, make_requests

A, B, C, D = range(4)
NAN = np.nan


SOURCES = {
    "bought together": FixedSource([[0, 3, 4, 0], [0, 0, 0, 0]], because=A),
    "popular": FixedSource([[0, 0, 1, 2], [9, 0, 0, 0]]),
}


def test_a_pair_that_two_sources_name_is_one_candidate_with_both_scores():
    found = propose_candidates(SOURCES, make_requests([A], []), k=2)
    assert found.sources == ("bought together", "popular")
    assert found.user.tolist() == [0, 0, 0, 1]
    assert found.item.tolist() == [B, C, D, A]
    np.testing.assert_array_equal(found.scores, [[3, NAN], [4, 1], [NAN, 2], [NAN, 9]])
    np.testing.assert_array_equal(found.source_ranks, [[2, NAN], [1, 2], [NAN, 1], [NAN, 1]])
    scale = np.sqrt([(9 + 16) / 2, (1 + 4) / 2])
    wanted = [[3 / scale[0], 0], [4 / scale[0], 1 / scale[1]], [0, 2 / scale[1]], [0, 1]]
    np.testing.assert_allclose(found.normalised_scores, wanted, rtol=1e-6)


def test_what_is_left_out_changes_nothing_for_the_others():
    found = propose_candidates(SOURCES, make_requests([A], []), k=2)
    is_kept = np.array([True, False, True, True])
    left = found.where(is_kept)
    np.testing.assert_array_equal(left.source_ranks, found.source_ranks[is_kept])
    np.testing.assert_array_equal(left.normalised_scores, found.normalised_scores[is_kept])
    asked_for = score_pairs(SOURCES, make_requests([A], []), 2, np.array([0, 0]), np.array([A, C]))
    np.testing.assert_array_equal(asked_for.source_ranks, [[NAN, NAN], [1, 2]])
    np.testing.assert_allclose(asked_for.normalised_scores, [[0, 0], found.normalised_scores[1]])


def test_the_strongest_are_those_of_which_sources_together_say_most():
    found = propose_candidates(SOURCES, make_requests([A], []), k=2)
    assert select_strongest(found, 1).item.tolist() == [
        C,
        A,
    ]  # of both sources; of the second user alone
    assert select_strongest(found, 9).item.tolist() == found.item.tolist()


def test_the_reason_is_that_of_the_source_in_which_it_stands_first():
    users = make_requests([A], [])
    pairs = propose_candidates(SOURCES, users, k=2)
    source, because = explain_candidates(
        SOURCES, users, pairs, pairs.positions_of(np.array([0, 0, 0, 1]), pairs.item)
    )
    assert source.tolist() == [0, 0, 1, 1]
    assert because.tolist() == [A, A, MISSING, MISSING]


def test_what_was_met_or_bought_is_known():
    users = make_requests([A, C], [D], bought=[[0, 1], [0]])
    pairs = propose_candidates({"x": FixedSource([[1, 1, 1, 0], [1, 0, 0, 0]])}, users, k=4)
    assert interacted_before(users, pairs, bought=False).tolist() == [True, False, True, False]
    assert interacted_before(users, pairs, bought=True).tolist() == [False, False, True, False]
