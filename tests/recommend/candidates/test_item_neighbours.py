"""Neighbours are what many users met near an item."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score
from sklearn.metrics.pairwise import cosine_similarity

from profile_lib.recommend.candidates.item_neighbours import item_neighbours
from profile_lib.recommend.data.histories import STEPS

COUNTED = {
    "window": 100,
    "gap_power": 0.0,
    "backward_weight": 1.0,
    "shrink": 0.0,
    "max_neighbours": 100,
}


def history(*items: int) -> tuple[object, ...]:
    n = len(items)
    return "u", list(items), [1.0] * n, list(range(n)), [False] * n


def found(spark, histories, **rules):
    frame = spark.createDataFrame(
        [history(*items) for items in histories], f"user_id string, {STEPS}"
    )
    frame = item_neighbours(frame, **rules)
    return {(r["item"], r["neighbour"]): r["weight"] for r in frame.collect()}


def test_a_flow_falls_with_the_gap_and_is_less_backward(spark):
    rules = COUNTED | {"window": 2, "gap_power": 1.0, "backward_weight": 0.5}
    weights = found(spark, [(0, 1, 2, 3)], similarity="cosine", **rules)
    assert weights == {
        (0, 1): 1.0, (1, 0): 0.5, (1, 2): 1.0, (2, 1): 0.5, (2, 3): 1.0, (3, 2): 0.5,
        (0, 2): 0.5, (2, 0): 0.25, (1, 3): 0.5, (3, 1): 0.25,
    }  # fmt: skip


def test_the_nearest_are_kept_and_equal_ones_by_their_number(spark):
    rules = COUNTED | {"max_neighbours": 1, "shrink": 1.0}
    weights = found(spark, [(0, 2), (0, 1), (0, 1, 2)], similarity="cosine", **rules)
    assert weights == pytest.approx(
        {(0, 1): 2 / (6**0.5 + 1), (1, 0): 2 / (6**0.5 + 1), (2, 0): 2 / (6**0.5 + 1)}
    )


@settings(max_examples=6, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=2, max_size=8))
def test_counted_they_are_what_scikit_learn_and_numpy_say(spark, histories):
    met = np.array([[item in items for item in range(6)] for items in histories], float)
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b and met[:, a] @ met[:, b]]
    with np.errstate(all="ignore"):
        correlation = np.corrcoef(met.T)
    expected = {
        "cosine": {p: cosine_similarity(met.T)[p] for p in pairs},
        "jaccard": {(a, b): jaccard_score(met[:, a], met[:, b]) for a, b in pairs},
        "pearson": {p: correlation[p] for p in pairs if correlation[p] > 1e-9},
    }
    for similarity, weights in expected.items():
        told = found(spark, histories, similarity=similarity, **COUNTED)
        known = {p: w for p, w in told.items() if w > 1e-9}
        assert known == pytest.approx(weights), similarity
