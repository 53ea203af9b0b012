"""What came after a cutoff, and what a ranking learns from."""

from datetime import datetime, timedelta

import numpy as np

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.evaluation.relevant_items import BOUGHT, INTERACTED, RelevantItems
from profile_lib.recommend.ranking.labels import find_later_interactions, label_candidates
from tests.recommend.asked import FixedSource, make_requests


def at(minute):
    return datetime(2026, 1, 1, 0, minute)


def test_what_is_met_within_the_horizon_in_the_order_of_meeting(rows):
    cutoffs = rows(
        "user_id string, cutoff_ts timestamp", ("ann", at(10)), ("ann", at(30)), ("bob", at(10))
    )
    events = rows(
        "user_id string, event_ts timestamp, event_type string, item_id string",
        ("ann", at(9), "view", "hat"), ("ann", at(10), "view", "shoe"),
        ("ann", at(12), "view", "hat"), ("ann", at(13), "purchase", "shoe"),
        ("ann", at(14), "page", "hat"), ("ann", at(30), "view", "sock"),
    )  # fmt: skip
    items = rows("item_id string, item int", ("hat", 0), ("shoe", 1))
    found = find_later_interactions(
        cutoffs, events, items, ["view", "purchase"], timedelta(minutes=20)
    )
    assert [tuple(r) for r in found.collect()] == [("ann", at(10), [1, 0], [BOUGHT, INTERACTED])]


def test_all_that_was_met_counts_and_some_others_stand_for_all():
    n = 1000
    pairs = propose_candidates({"x": FixedSource(np.ones((3, n)))}, make_requests([], [], []), k=n)
    wanted = RelevantItems(
        np.array([0, 0, 2]), np.array([5, 7, 5000]), np.array([INTERACTED, BOUGHT, BOUGHT])
    )
    draw = np.random.default_rng(1).random(3 * n)
    found = label_candidates(pairs, wanted, np.full(3, 100.0), draw)
    assert np.flatnonzero(found.is_interacted).tolist() == [5, 7]
    assert np.flatnonzero(found.is_bought).tolist() == [7]
    assert found.weight[[5, 7]].tolist() == [1, 1]
    drawn = found.weight[:n] > 1
    assert 70 < drawn.sum() < 130
    np.testing.assert_allclose(found.weight[:n][drawn], (n - 2) / 100)
    assert not found.weight[n:].any()  # the second user met nothing, the third no candidate


def test_where_all_are_wanted_each_candidate_stands_for_itself():
    items = np.isin(np.arange(7), [4, 5, 6])
    pairs = propose_candidates({"x": FixedSource([items, items])}, make_requests([], []), k=7)
    wanted = RelevantItems(np.array([0, 1]), np.array([5, 6]), np.array([INTERACTED, INTERACTED]))
    found = label_candidates(pairs, wanted, np.array([np.inf, 0]), np.full(6, 0.5))
    assert found.weight.tolist() == [1, 1, 1, 0, 0, 1]
