"""Test the labels of candidates by later interactions."""

from datetime import datetime, timedelta

import numpy as np
from pyspark.testing import assertDataFrameEqual

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.data.relevant_items import BOUGHT, INTERACTED, RelevantItems
from profile_lib.recommend.ranking.labels import find_later_interactions, label_candidates
from tests.recommend.request_rows import FixedSource, make_requests

EVENTS = (
    "user_id string, event_ts timestamp, sequence long, event_id string, event_type string, "
    "item_id string, ingest_ts timestamp"
)


def minute(number):
    return datetime(2026, 1, 1, 0, number)


def test_items_within_the_horizon_are_relevant_in_the_order_of_first_interaction(rows):
    cutoffs = rows(
        "user_id string, cutoff_ts timestamp",
        ("ann", minute(10)),
        ("ann", minute(30)),
        ("bob", minute(10)),
    )
    late = minute(40)
    events = rows(
        EVENTS,
        ("ann", minute(9), None, "1", "view", "hat", late),  # before the cutoff
        ("ann", minute(10), None, "2", "view", "shoe", late),
        ("ann", minute(12), None, "3", "view", "hat", late),
        ("ann", minute(13), None, "4", "purchase", "shoe", late),
        ("ann", minute(14), None, "5", "return", "hat", late),  # no interaction
        ("ann", minute(15), None, "6", "purchase", "hat", minute(8)),  # a clock ahead
        ("ann", minute(30), None, "7", "view", "sock", late),  # not in the catalog
    )
    items = rows("item_id string, item int", ("hat", 0), ("shoe", 1))
    later = find_later_interactions(
        cutoffs, events, items, ["view", "purchase"], timedelta(minutes=20)
    )
    expected = rows(
        "user_id string, cutoff_ts timestamp, relevant array<int>, relevance array<float>",
        ("ann", minute(10), [1, 0], [BOUGHT, INTERACTED]),
    )
    assertDataFrameEqual(later, expected)


def test_relevant_items_of_one_second_are_in_the_order_of_their_sequence(rows):
    cutoffs = rows("user_id string, cutoff_ts timestamp", ("ann", minute(10)))
    items = rows("item_id string, item int", ("hat", 0), ("shoe", 1), ("sock", 2))
    views = [(2, "1", "hat"), (1, "2", "shoe"), (None, "3", "sock")]
    ts = minute(12)
    events = rows(EVENTS, *[("ann", ts, n, key, "view", item, ts) for n, key, item in views])
    later = find_later_interactions(cutoffs, events, items, ["view"], timedelta(minutes=20))
    assert [row["relevant"] for row in later.collect()] == [[2, 1, 0]]


def test_relevant_candidates_are_all_kept_and_sampled_others_are_weighted_to_stand_for_all():
    n = 1000
    requests = make_requests([], [], [])
    pairs = propose_candidates({"x": FixedSource(np.ones((3, n)))}, requests, k=n)
    relevant = RelevantItems(
        np.array([0, 0, 2]), np.array([5, 7, 5000]), np.array([INTERACTED, BOUGHT, BOUGHT])
    )
    draw = np.random.default_rng(1).random(3 * n)
    labels = label_candidates(pairs, relevant, np.full(3, 100.0), draw)
    assert np.flatnonzero(labels.is_interacted).tolist() == [5, 7]
    assert np.flatnonzero(labels.is_bought).tolist() == [7]
    assert labels.weight[[5, 7]].tolist() == [1, 1]
    is_drawn = labels.weight[:n] > 1
    assert 70 < is_drawn.sum() < 130
    np.testing.assert_allclose(labels.weight[:n][is_drawn], (n - 2) / 100)
    assert not labels.weight[n:].any()  # the other users interacted with no candidate


def test_unlimited_negatives_give_every_candidate_weight_1_and_none_only_relevant_ones():
    proposed = np.isin(np.arange(7), [4, 5, 6])
    sources = {"x": FixedSource([proposed, proposed])}
    pairs = propose_candidates(sources, make_requests([], []), k=7)
    relevant = RelevantItems(np.array([0, 1]), np.array([5, 6]), np.full(2, INTERACTED))
    labels = label_candidates(pairs, relevant, np.array([np.inf, 0]), np.full(6, 0.5))
    assert labels.weight.tolist() == [1, 1, 1, 0, 0, 1]
