"""Sources count by what they find: on a world in which one of them is always right."""

import numpy as np
import pytest
from scipy import sparse

from profile_lib.recommend.candidates import fusion
from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.candidates.fusion import (
    WeightedSum,
    choose_weights,
    draw_weights,
    fuse_sources,
)
from profile_lib.recommend.candidates.item_to_item import ItemToItem
from profile_lib.recommend.evaluation.protocols import leave_one_out, measure
from tests.recommend.walks import walk_frame, walk_requests

N = 8


def shifted(by):
    """Of each item the one that many further on, and the one after that half as near."""
    near = np.zeros((N, N))
    for item in range(N):
        near[item, (item + by) % N], near[item, (item + by + 1) % N] = 1, 0.5
    return ItemToItem(sparse.csr_array(near, dtype=np.float32), decay=0.1)


def test_the_source_that_is_right_counts_most(spark, monkeypatch):
    monkeypatch.setattr(fusion, "MAX_USERS_PER_BATCH", 3)
    split = leave_one_out(walk_frame(spark, [(i, (i + 1) % N) for i in range(N)]))
    sources = {"wrong": shifted(3), "right": shifted(1)}
    draws = np.array([[1, 0], [0.5, 0.5], [0.9, 0.1], [0.4, 0.6]])
    weights, ndcg = choose_weights(split, sources, draws, candidates_per_source=2, k=1)
    assert (weights.weights, ndcg) == ({"wrong": 0.4, "right": 0.6}, 1.0)
    again = measure(split, fuse_sources(sources, weights, 2, N), n_items=N, k=1)
    assert [row["ndcg"] for row in again.collect()] == [1.0] * N


def test_what_no_source_names_is_not_found(spark):
    split = leave_one_out(walk_frame(spark, [(0, 1), (0, 5), (1, 2, 0)]))
    _, ndcg = choose_weights(split, {"right": shifted(1)}, np.eye(1), candidates_per_source=2, k=3)
    assert ndcg == pytest.approx(1 / 3)


def test_a_weighted_sum_is_of_strengths():
    sources = {"one": shifted(1), "three": shifted(3)}
    pairs = propose_candidates(sources, walk_requests([(0,)]), 2)
    score = WeightedSum({"three": 2.0, "one": 1.0})(walk_requests([(0,)]), pairs)
    mean = np.sqrt((1 + 0.25) / 2)
    expected = {1: 1 / mean, 2: 0.5 / mean, 3: 2 / mean, 4: 1 / mean}
    assert dict(zip(pairs.item.tolist(), score, strict=True)) == pytest.approx(expected)


def test_weights_are_drawn_evenly_after_each_source_alone():
    draws = draw_weights(3, 5000, seed=1)
    assert np.array_equal(draws[:3], np.eye(3))
    assert draws.sum(axis=1) == pytest.approx(1)
    assert draws[3:].mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.02)
    assert np.array_equal(draws, draw_weights(3, 5000, seed=1))
