"""Test the weights that are chosen for sources if one of them is always right."""

import numpy as np
import pytest
from pyspark.testing import assertDataFrameEqual
from scipy import sparse

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.candidates.fused import Fused
from profile_lib.recommend.candidates.item_neighbours import ItemNeighbours
from profile_lib.recommend.candidates.shared import fusion_weights
from profile_lib.recommend.candidates.shared.fusion_weights import (
    WeightedSum,
    choose_weights,
    draw_weights,
)
from profile_lib.recommend.evaluation.protocols import leave_one_out, measure
from tests.recommend.walks import walk_frame, walk_requests

N = 8


def shifted_items(distance):
    """Propose the item `distance` further on, and the one after it with half the score."""
    similarity = np.zeros((N, N), np.float32)
    for item in range(N):
        similarity[item, (item + distance) % N] = 1
        similarity[item, (item + distance + 1) % N] = 0.5
    return ItemNeighbours(sparse.csr_array(similarity), decay=0.1)


def test_the_source_that_finds_the_items_gets_the_greatest_weight(spark, monkeypatch):
    monkeypatch.setattr(fusion_weights, "MAX_USERS_PER_BATCH", 3)
    split = leave_one_out(walk_frame(spark, [(i, (i + 1) % N) for i in range(N)]))
    sources = {"wrong": shifted_items(3), "right": shifted_items(1)}
    draws = np.array([[1, 0], [0.5, 0.5], [0.9, 0.1], [0.4, 0.6]])
    chosen, ndcg = choose_weights(split, sources, draws, candidates_per_source=2, k=1)
    assert (chosen.weights, ndcg) == ({"wrong": 0.4, "right": 0.6}, 1.0)
    fused = Fused(sources, chosen.weights, 2, N, ndcg)
    measures = measure(split, lambda requests: fused.score_all(requests, N), n_items=N, k=1)
    expected = spark.createDataFrame(
        [(f"u{i}", 1.0) for i in range(N)], "user_id string, ndcg double"
    )
    assertDataFrameEqual(measures.select("user_id", "ndcg"), expected)


def test_a_relevant_item_that_no_source_proposes_counts_as_missed(spark):
    split = leave_one_out(walk_frame(spark, [(0, 1), (0, 5), (1, 2, 0)]))
    sources = {"right": shifted_items(1)}
    _, ndcg = choose_weights(split, sources, np.eye(1), candidates_per_source=2, k=3)
    assert ndcg == pytest.approx(1 / 3)


def test_a_weighted_sum_adds_normalised_scores():
    sources = {"one": shifted_items(1), "three": shifted_items(3)}
    requests = walk_requests([(0,)])
    pairs = propose_candidates(sources, requests, 2)
    scores = WeightedSum({"three": 2.0, "one": 1.0})(requests, pairs)
    mean = np.sqrt((1 + 0.25) / 2)
    expected = {1: 1 / mean, 2: 0.5 / mean, 3: 2 / mean, 4: 1 / mean}
    assert dict(zip(pairs.item.tolist(), scores, strict=True)) == pytest.approx(expected)


def test_weights_are_each_source_alone_and_then_uniform_draws():
    draws = draw_weights(3, 5000, seed=1)
    assert np.array_equal(draws[:3], np.eye(3))
    assert draws.sum(axis=1) == pytest.approx(1)
    assert draws[3:].mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.02)
    assert np.array_equal(draws, draw_weights(3, 5000, seed=1))
