"""Test that SASRec learns the order of items, for each user alone."""

import numpy as np
import pytest
import torch

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.sasrec import Sasrec
from profile_lib.recommend.candidates.shared.sasrec_model import SASRec, SasrecShape, last_steps
from profile_lib.recommend.candidates.shared.sasrec_training import (
    SasrecPlan,
    read_histories,
    train_sasrec,
    write_histories,
)
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.evaluation.protocols import leave_one_out, relevant_ranks
from tests.recommend.walks import walk_frame, walk_requests, walk_split

N_ITEMS = 12
SHAPE = SasrecShape(n_items=N_ITEMS, max_steps=6, width=16, layers=1, heads=2, dropout=0.1)
PLAN = SasrecPlan(seed=3, epochs=30, patience=5, batch_steps=64, learning_rate=0.01, k=1)
CPU = torch.device("cpu")


def cyclic_walks(n_users):
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, N_ITEMS, n_users), rng.integers(3, 9, n_users)
    return [
        [int(item) for item in (start + np.arange(length)) % N_ITEMS]
        for start, length in zip(starts, lengths, strict=True)
    ]


@pytest.fixture(scope="module")
def trained():
    return train_sasrec(walk_split(cyclic_walks(150)), SHAPE, PLAN, CPU)


@pytest.fixture(scope="module")
def source(trained):
    model, curve = trained
    return Sasrec(model, len(curve), max(curve))


def test_the_items_of_the_highest_scores_are_the_candidates_without_an_explanation(source):
    requests = walk_requests([(3, 4), ()])
    assert source.scores(requests, 1).nonzero()[1].tolist() == [5]
    assert source.explain(requests, np.array([0]), np.array([5])).tolist() == [MISSING]


def test_on_a_cycle_the_next_item_ranks_first_and_training_stops_early(trained, source):
    def score_all(requests):
        return source.score_all(requests, N_ITEMS)

    _, curve = trained
    assert (relevant_ranks(score_all, walk_split(cyclic_walks(40)), N_ITEMS) == 1).all()
    assert max(curve) == 1
    assert len(curve) < PLAN.epochs


def test_equal_seeds_give_equal_models(trained):
    again, _ = train_sasrec(walk_split(cyclic_walks(150)), SHAPE, PLAN, CPU)
    for name, value in trained[0].state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_user_gets_the_same_scores_alone_as_in_a_batch(source):
    walks = [(0, 1), (3, 4, 5, 6, 7, 8, 9, 10, 11), (), (7,)]
    together = source.score_all(walk_requests(walks), N_ITEMS)
    alone = np.vstack([source.score_all(walk_requests([walk]), N_ITEMS) for walk in walks])
    assert alone == pytest.approx(together, abs=1e-5)
    assert np.isneginf(together[2]).all()


def test_the_output_of_a_step_does_not_depend_on_later_steps():
    model = SASRec(SHAPE).eval()
    first, second = (model(torch.tensor([[1, 2, last]])) for last in (3, 4))
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 2], second[:, 2])


def test_the_last_steps_are_read_and_shorter_rows_padded():
    rows, n_steps = last_steps(walk_requests([(5, 6, 7, 8), (9,), ()]).histories, 3)
    assert rows.tolist() == [[6, 7, 8], [9, 0, 0], [0, 0, 0]]
    assert n_steps.tolist() == [3, 1, 0]


def test_split_histories_are_read_as_they_were_written(spark, tmp_path):
    folder = str(tmp_path / "histories")
    write_histories(leave_one_out(walk_frame(spark, [(0, 1, 2), (3, 4), (5,)])), folder, n_files=2)
    rows = read_histories(folder).to_pylist()
    assert sorted((row["items"], row["relevant"], row["relevance"]) for row in rows) == [
        ([0, 1], [2], [1.0]),
        ([3], [4], [1.0]),
    ]


def test_a_folder_without_histories_is_refused(spark, tmp_path):
    folder = str(tmp_path / "histories")
    write_histories(leave_one_out(walk_frame(spark, [(5,)])), folder, n_files=1)
    with pytest.raises(InputError, match="no histories"):
        read_histories(folder)
