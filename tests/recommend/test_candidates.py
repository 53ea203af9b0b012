"""What sources name, brought together."""

import numpy as np
from scipy import sparse

from profile_lib.recommend.candidates import Candidates, candidates, met_before, reasons
from profile_lib.recommend.sources import NOTHING
from tests.recommend.asked import asked

A, B, C, D = range(4)
NAN = np.nan


class Says:
    """A source that says what it is told to."""

    def __init__(self, table, because=NOTHING):
        self.table, self.reason = np.array(table, np.float32), because

    def scores(self, asked, k):
        return sparse.csr_array(self.table)

    def because(self, asked, user, item):
        return np.full(len(user), self.reason)


SOURCES = {
    "bought together": Says([[0, 3, 4, 0], [0, 0, 0, 0]], because=A),
    "popular": Says([[0, 0, 1, 2], [9, 0, 0, 0]]),
}


def test_a_pair_that_two_sources_name_is_one_candidate_with_both_scores():
    found = candidates(SOURCES, asked([A], []), k=2)
    assert found.sources == ("bought together", "popular")
    assert found.user.tolist() == [0, 0, 0, 1]
    assert found.item.tolist() == [B, C, D, A]
    np.testing.assert_array_equal(found.scores, [[3, NAN], [4, 1], [NAN, 2], [NAN, 9]])
    np.testing.assert_array_equal(found.places(), [[2, NAN], [1, 2], [NAN, 1], [NAN, 1]])
    scale = np.sqrt([(9 + 16) / 2, (1 + 4) / 2])
    wanted = [[3 / scale[0], 0], [4 / scale[0], 1 / scale[1]], [0, 2 / scale[1]], [0, 1]]
    np.testing.assert_allclose(found.strengths(), wanted, rtol=1e-6)


def test_the_reason_is_that_of_the_source_in_which_it_stands_first():
    users = asked([A], [])
    pairs = candidates(SOURCES, users, k=2)
    source, because = reasons(SOURCES, users, pairs, pairs.of(np.array([0, 0, 0, 1]), pairs.item))
    assert source.tolist() == [0, 0, 1, 1]
    assert because.tolist() == [A, A, NOTHING, NOTHING]


def test_what_was_met_or_bought_is_known():
    users = asked([A, C], [D], bought=[[0, 1], [0]])
    pairs = Candidates(
        ("x",), np.array([0, 0, 0, 1]), np.array([A, B, C, A]), np.ones((4, 1), np.float32)
    )
    assert met_before(users, pairs, bought=False).tolist() == [True, False, True, False]
    assert met_before(users, pairs, bought=True).tolist() == [False, False, True, False]
