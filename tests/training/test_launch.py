"""What is refused before ranks are started, and how their progress reaches the driver."""

import sys
from pathlib import Path

import pytest

from profile_lib.errors import InputError
from profile_lib.training.distribute import PROGRESS, check_division, following, reason, train
from profile_lib.training.plan import Plan
from profile_lib.training.rank import RankJob
from profile_lib.training.snapshot import Snapshot

PLAN = Plan(
    seed=1, epochs=1, numeric_epochs=0, batch_size=30, numeric_batch_size=30, encoder_lr=1e-3,
    head_lr=1e-2, numbers_lr=0.0, weight_decay=0.0, warmup_share=0.1, max_grad_norm=1.0,
    frozen_layers=0, negatives_kept=1.0, progress_steps=2, task_weights=(1.0,),
)  # fmt: skip
JOB = RankJob("nowhere", Snapshot("nowhere", {}, {}, 8, 0), PLAN, 3, 8, 1, 0)


def test_more_ranks_than_spark_has_slots_are_refused(spark):
    with pytest.raises(InputError, match=r"ranks: 3, but local\[2\] runs 2 tasks at once; set"):
        train(spark, JOB, 3, print)


def test_a_missing_horovod_is_told_with_the_way_to_get_it(spark, monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod.spark", None)
    with pytest.raises(InputError, match=r"needs Horovod built with torch .*install.sh, or set"):
        train(spark, JOB, 3, print)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((30, 64, 4, 2), "batch_size: 30 is no multiple of training.shards, 4"),
        ((32, 66, 4, 2), "numeric_batch_size: 66 is no multiple of training.shards, 4"),
        ((32, 64, 4, 3), "shards: 4 is no multiple of training.ranks, 3"),
    ],
)
def test_batches_that_do_not_divide_are_refused(sizes, told):
    with pytest.raises(InputError, match=told):
        check_division(*sizes)


def test_progress_is_passed_on_whole_and_in_order(tmp_path):
    told = []
    (tmp_path / PROGRESS).write_text('{"step": 99}\n')  # of an earlier run
    with following(tmp_path / PROGRESS, told.append), (tmp_path / PROGRESS).open("a") as file:
        for text in ('{"step": 1}\n{"st', 'ep": 2}\n', '{"step": 3}\n'):
            file.write(text)
            file.flush()
    assert told == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_what_a_rank_says_of_bad_input_is_what_the_driver_says(tmp_path):
    assert reason(tmp_path) is None
    Path(tmp_path / "error-1.txt").write_text("training: the loss is nan", encoding="utf-8")
    assert str(reason(tmp_path)) == "training: the loss is nan"
