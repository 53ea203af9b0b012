"""Test the neighbours that many users interacted with near an item."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.testing import assertDataFrameEqual
from sklearn.metrics import jaccard_score
from sklearn.metrics.pairwise import cosine_similarity

from profile_lib.recommend.candidates.item_neighbours import find_item_neighbours
from tests.recommend.walks import walk_frame

COUNT_USERS = {
    "window": 100,
    "gap_power": 0.0,
    "backward_weight": 1.0,
    "shrink": 0.0,
    "max_neighbours": 100,
}
WEIGHTS = "item int, neighbour int, weight double"


def test_a_cooccurrence_falls_with_the_gap_and_counts_less_backward(spark):
    rules = COUNT_USERS | {"window": 2, "gap_power": 1.0, "backward_weight": 0.5}
    histories = walk_frame(spark, [(0, 1, 2, 3)])
    expected = [
        (0, 1, 1.0), (1, 0, 0.5), (1, 2, 1.0), (2, 1, 0.5), (2, 3, 1.0), (3, 2, 0.5),
        (0, 2, 0.5), (2, 0, 0.25), (1, 3, 0.5), (3, 1, 0.25),
    ]  # fmt: skip
    assertDataFrameEqual(
        find_item_neighbours(histories, similarity="cosine", **rules),
        spark.createDataFrame(expected, WEIGHTS),
    )


def test_the_nearest_are_kept_and_equal_ones_by_item_number(spark):
    rules = COUNT_USERS | {"max_neighbours": 1, "shrink": 1.0}
    histories = walk_frame(spark, [(0, 2), (0, 1), (0, 1, 2)])
    weight = 2 / (6**0.5 + 1)
    expected = [(0, 1, weight), (1, 0, weight), (2, 0, weight)]
    assertDataFrameEqual(
        find_item_neighbours(histories, similarity="cosine", **rules),
        spark.createDataFrame(expected, WEIGHTS),
    )


@settings(max_examples=6, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=2, max_size=8))
def test_similarities_of_user_counts_equal_scikit_learn_and_numpy(spark, walks):
    users = np.array([[item in walk for item in range(6)] for walk in walks], float)
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b and users[:, a] @ users[:, b]]
    with np.errstate(all="ignore"):
        correlation = np.corrcoef(users.T)
    expected = {
        "cosine": {pair: cosine_similarity(users.T)[pair] for pair in pairs},
        "jaccard": {(a, b): jaccard_score(users[:, a], users[:, b]) for a, b in pairs},
        "pearson": {pair: correlation[pair] for pair in pairs if correlation[pair] > 1e-9},
    }
    histories = walk_frame(spark, walks)
    for similarity, weights in expected.items():
        neighbours = find_item_neighbours(histories, similarity=similarity, **COUNT_USERS)
        rows = [(r.item, r.neighbour, r.weight) for r in neighbours.collect()]
        positive = {(item, other): weight for item, other, weight in rows if weight > 1e-9}
        assert positive == pytest.approx(weights), similarity
