"""What is to be found lies behind the past, and all that was not met competes for it."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from profile_lib.metrics import ranking as ranks
from profile_lib.recommend.candidates.popularity import fit_popularity
from profile_lib.recommend.evaluation import protocols
from profile_lib.recommend.evaluation.protocols import (
    leave_one_out,
    list_top_items,
    measure,
    relevant_ranks,
    split_at_cutoff,
)
from tests.recommend.walks import walk_frame, walk_split


def told(split):
    return {r["user_id"]: (r["items"], r["relevant"]) for r in split.collect()}


def test_the_last_item_met_anew_is_left_out_with_all_behind_it(spark):
    histories = walk_frame(spark, [(0, 1, 2), (3, 4, 3, 4), (5, 5), (6,), (7, 8)])
    test = leave_one_out(histories)
    assert told(test) == {"u0": ([0, 1], [2]), "u1": ([3], [4]), "u4": ([7], [8])}
    assert told(leave_one_out(test)) == {"u0": ([0], [1])}
    first = test.where("user_id = 'u0'").first()
    assert (first["weights"], first["seconds"], first["relevance"]) == ([1.0, 1.0], [0, 1], [1.0])


def test_at_a_cutoff_past_and_future_part(spark):
    histories = walk_frame(spark, [(0, 1, 2, 1, 3, 2), (4, 5), (6, 7, 6, 7)])
    split = split_at_cutoff(histories, datetime.fromtimestamp(2, UTC))
    assert told(split) == {"u0": ([0, 1], [2, 3])}


def test_items_of_the_past_are_masked(spark):
    walks = walk_frame(spark, [(0, 1, 2), (1, 3)])
    popular = fit_popularity(walk_frame(spark, [(0, 1, 1, 2, 3), (0, 1, 2), (1, 0), (0,)]), 5)
    split = leave_one_out(walks)

    def score_all(asked):
        return popular.scores(asked, 5)

    found = {r["user_id"]: r["ndcg"] for r in measure(split, score_all, n_items=5, k=3).collect()}
    assert found == pytest.approx({"u0": 1.0, "u1": 1 / np.log2(3 + 1)})
    listed = list_top_items(split, score_all, n_items=5, k=3).orderBy("user_id", "rank").collect()
    assert [tuple(r) for r in listed] == [
        ("u0", 2, 1), ("u0", 3, 2), ("u1", 0, 1), ("u1", 2, 2), ("u1", 3, 3)
    ]  # fmt: skip


WALKS = st.lists(st.lists(st.integers(0, 7), min_size=2, max_size=5), min_size=1, max_size=9)


@settings(max_examples=30, deadline=None)
@given(WALKS, st.integers(0, 99))
def test_what_is_scored_sparsely_in_parts_is_ranked_as_dense_and_whole(walks, seed):
    drawn = np.random.default_rng(seed).integers(0, 4, (8, 8)).astype(np.float32)
    split = walk_split(walks)
    last = np.array([walk[-2] for walk in walks])
    scores = np.where(drawn == 0, -np.inf, drawn)[last]
    for row, walk in enumerate(walks):
        scores[row, walk[:-1]] = -np.inf
    expected = ranks.rank_relevant_items(scores, *protocols.RelevantItems.from_batch(split))

    def score_all(asked):
        steps = asked.histories
        return sparse.csr_array(drawn[steps.items[steps.steps_ago == 0]])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocols, "MAX_CELLS", 16)
        assert np.array_equal(relevant_ranks(score_all, split, 8), expected)


def test_equal_scores_count_against_a_source():
    split = walk_split([(0, 1), (0, 2)])
    assert relevant_ranks(lambda asked: np.zeros((2, 4), np.float32), split, 4).tolist() == [3, 3]
