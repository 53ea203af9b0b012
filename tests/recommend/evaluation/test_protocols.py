"""Test how histories are split, and how held-out items are ranked."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.testing import assertDataFrameEqual
from scipy import sparse

from profile_lib.metrics import ranking
from profile_lib.recommend.candidates.popularity import Popularity
from profile_lib.recommend.data.relevant_items import RelevantItems
from profile_lib.recommend.evaluation import protocols
from profile_lib.recommend.evaluation.protocols import (
    SPLIT_SCHEMA,
    histories_before,
    leave_one_out,
    list_top_items,
    measure,
    relevant_ranks,
    split_at_cutoff,
)
from tests.recommend.walks import walk_frame, walk_split

PAST_AND_RELEVANT = "user_id string, items array<int>, relevant array<int>"


def assert_split(split, *expected):
    frame = split.sparkSession.createDataFrame(list(expected), PAST_AND_RELEVANT)
    assertDataFrameEqual(split.select("user_id", "items", "relevant"), frame)


def test_the_last_new_item_is_held_out_with_all_steps_after_it(spark):
    histories = walk_frame(spark, [(0, 1, 2), (3, 4, 3, 4), (5, 5), (6,), (7, 8)])
    test = leave_one_out(histories)
    assert_split(test, ("u0", [0, 1], [2]), ("u1", [3], [4]), ("u4", [7], [8]))
    assert_split(leave_one_out(test), ("u0", [0], [1]))
    row = ("u0", [0, 1], [1.0, 1.0], [0, 1], [False, False], [2], [1.0])
    assertDataFrameEqual(test.where("user_id = 'u0'"), spark.createDataFrame([row], SPLIT_SCHEMA))


def test_a_cutoff_divides_past_and_new_items(spark):
    histories = walk_frame(spark, [(0, 1, 2, 1, 3, 2), (4, 5), (6, 7, 6, 7)])
    cutoff = datetime.fromtimestamp(2, UTC)
    assert_split(split_at_cutoff(histories, cutoff), ("u0", [0, 1], [2, 3]))
    expected = walk_frame(spark, [(0, 1), (4, 5), (6, 7)])
    assertDataFrameEqual(histories_before(histories, cutoff), expected)


def test_items_of_the_past_are_not_ranked(spark):
    histories = walk_frame(spark, [(0, 1, 1, 2, 3), (0, 1, 2), (1, 0), (0,)])
    popular = Popularity.from_histories(histories, 5)
    split = leave_one_out(walk_frame(spark, [(0, 1, 2), (1, 3)]))

    def score_all(requests):
        return popular.score_all(requests, 5)

    measures = measure(split, score_all, n_items=5, k=3).select("user_id", "ndcg")
    expected = [("u0", 1.0), ("u1", 1 / float(np.log2(3 + 1)))]
    assertDataFrameEqual(measures, spark.createDataFrame(expected, "user_id string, ndcg double"))
    top = [("u0", 2, 1), ("u0", 3, 2), ("u1", 0, 1), ("u1", 2, 2), ("u1", 3, 3)]
    assertDataFrameEqual(
        list_top_items(split, score_all, n_items=5, k=3),
        spark.createDataFrame(top, "user_id string, item int, rank int"),
    )


WALKS = st.lists(st.lists(st.integers(0, 7), min_size=2, max_size=5), min_size=1, max_size=9)


@settings(max_examples=30, deadline=None)
@given(WALKS, st.integers(0, 99))
def test_sparse_scores_in_parts_give_the_ranks_of_dense_ones(walks, seed):
    random = np.random.default_rng(seed).integers(0, 4, (8, 8)).astype(np.float32)
    split = walk_split(walks)
    last = np.array([walk[-2] for walk in walks])
    scores = np.where(random == 0, -np.inf, random)[last]
    for row, walk in enumerate(walks):
        scores[row, walk[:-1]] = -np.inf
    expected = ranking.rank_relevant_items(scores, *RelevantItems.from_batch(split))

    def score_all(requests):
        steps = requests.histories
        return sparse.csr_array(random[steps.items[steps.steps_ago == 0]])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocols, "MAX_CELLS", 16)
        assert np.array_equal(relevant_ranks(score_all, split, 8), expected)


def test_a_relevant_item_ranks_last_among_equal_scores():
    split = walk_split([(0, 1), (0, 2)])
    assert relevant_ranks(lambda _: np.zeros((2, 4), np.float32), split, 4).tolist() == [3, 3]
