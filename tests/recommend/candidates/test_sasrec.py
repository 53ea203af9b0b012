"""SASRec learns in which order items are met, and is the same wherever it is read."""

import numpy as np
import pytest
import torch

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.sasrec import SASRec, SasrecShape, last_steps
from profile_lib.recommend.candidates.sasrec_training import (
    SasrecPlan,
    fit_sasrec,
    read_histories,
    write_histories,
)
from profile_lib.recommend.candidates.source import MISSING
from profile_lib.recommend.evaluation.protocols import leave_one_out, relevant_ranks
from tests.recommend.walks import walk_frame, walk_requests, walk_split

N_ITEMS = 12
SHAPE = SasrecShape(n_items=N_ITEMS, max_steps=6, width=16, layers=1, heads=2, dropout=0.1)
PLAN = SasrecPlan(seed=3, epochs=30, patience=5, batch_steps=64, learning_rate=0.01, k=1)
CPU = torch.device("cpu")


def cycle(n_users):
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(0, N_ITEMS, n_users), rng.integers(3, 9, n_users)
    return [
        [int(item) for item in (start + np.arange(length)) % N_ITEMS]
        for start, length in zip(starts, lengths, strict=True)
    ]


def test_the_best_items_are_its_candidates(fitted):
    asked = walk_requests([(3, 4), ()])
    assert fitted[0].scores(asked, 1).nonzero()[1].tolist() == [5]
    assert fitted[0].explain(asked, np.array([0]), np.array([5])).tolist() == [MISSING]


@pytest.fixture(scope="module")
def fitted():
    return fit_sasrec(walk_split(cycle(150)), SHAPE, PLAN, CPU)


def test_on_a_cycle_the_next_item_is_known(fitted):
    model, curve = fitted
    assert (relevant_ranks(model.all_scores, walk_split(cycle(40)), N_ITEMS) == 1).all()
    assert max(curve) == 1
    assert len(curve) < PLAN.epochs


def test_equal_seeds_give_equal_models(fitted):
    again, _ = fit_sasrec(walk_split(cycle(150)), SHAPE, PLAN, CPU)
    for name, value in fitted[0].state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_user_alone_is_scored_as_among_others(fitted):
    walks = [(0, 1), (3, 4, 5, 6, 7, 8, 9, 10, 11), (), (7,)]
    together = fitted[0].all_scores(walk_requests(walks))
    alone = np.vstack([fitted[0].all_scores(walk_requests([walk])) for walk in walks])
    assert alone == pytest.approx(together, abs=1e-5)
    assert np.isneginf(together[2]).all()


def test_a_step_sees_none_after_it():
    model = SASRec(SHAPE).eval()
    first, second = (model(torch.tensor([[1, 2, last]])) for last in (3, 4))
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 2], second[:, 2])


def test_the_last_steps_are_read_and_rows_filled_up_behind():
    rows, n_steps = last_steps(walk_requests([(5, 6, 7, 8), (9,), ()]).histories, 3)
    assert rows.tolist() == [[6, 7, 8], [9, 0, 0], [0, 0, 0]]
    assert n_steps.tolist() == [3, 1, 0]


def test_split_histories_come_back_from_their_folder(spark, tmp_path):
    folder = str(tmp_path / "histories")
    walks = [(0, 1, 2), (3, 4), (5,)]
    write_histories(leave_one_out(walk_frame(spark, walks)), folder, n_files=2)
    found = read_histories(folder).to_pylist()
    assert sorted((row["items"], row["relevant"], row["relevance"]) for row in found) == [
        ([0, 1], [2], [1.0]),
        ([3], [4], [1.0]),
    ]


def test_a_folder_without_histories_is_refused(spark, tmp_path):
    folder = str(tmp_path / "histories")
    write_histories(leave_one_out(walk_frame(spark, [(5,)])), folder, n_files=1)
    with pytest.raises(InputError, match="no histories"):
        read_histories(folder)
