"""Processes start only with valid settings, restart if one is lost, and report to the driver."""

import sys

import pytest
import torch

from profile_lib.errors import DivergedError, InputError
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed import launch
from profile_lib.training.distributed.horovod_launcher import HorovodOptions
from profile_lib.training.distributed.launch import check_batch_division, run_with_retries
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.distributed.rank_job import select_device
from profile_lib.training.distributed.rank_messages import (
    PROGRESS_FILE,
    follow_progress,
    read_process_error,
    run_and_report,
)
from profile_lib.training.fit import FitJob
from tests.worlds import tiny_plan

PLAN = tiny_plan(batch_size=30, numeric_batch_size=30)
OPTIONS = HorovodOptions(fp16_compression=False, fusion_mb=64, cycle_ms=1.0, stall_seconds=60)


def job(folder) -> FitJob:
    snapshot = Snapshot(str(folder), {}, (), (), 8, 0, {})
    return FitJob(str(folder), snapshot, PLAN, (1.0,), 6, 8, 1, str(folder))


def run_training(spark, folder, n_processes, launcher="horovod", report_progress=print):
    return run_with_retries(
        spark, job(folder), n_processes, report_progress,
        launcher=launcher, options=OPTIONS, retries=2,
    )  # fmt: skip


def test_more_processes_than_spark_has_slots_are_refused(spark, tmp_path):
    with pytest.raises(
        InputError, match=r"n_processes: 3, but local\[2\] runs 2 tasks at once; set"
    ):
        run_training(spark, tmp_path, 3)


def test_a_missing_horovod_is_reported_with_the_script_that_installs_it(
    spark, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "horovod.spark", None)
    with pytest.raises(InputError, match=r"needs Horovod built with torch .*install.sh, which"):
        run_training(spark, tmp_path, 2)


def test_the_in_process_launcher_refuses_two_processes(spark, tmp_path):
    with pytest.raises(InputError, match="n_processes: 2, but training.launcher in_process is one"):
        run_training(spark, tmp_path, 2, "in_process")


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    process_group = SingleProcess()
    assert select_device(process_group) == torch.device("cuda:0")
    process_group.size, process_group.local_rank = 2, 1
    with pytest.raises(
        InputError, match=r"training.n_processes: 2, .* it has 1 GPUs and each process"
    ):
        select_device(process_group)


class LosingLauncher:
    """Lose a process `times` times, then return an outcome."""

    def __init__(self, times: int):
        self.times, self.resumed = times, []

    def run(self, job, n_processes, report_progress):
        self.resumed.append(job.resume)
        if len(self.resumed) <= self.times:
            raise RuntimeError("rank 1 was killed\nand more")
        return "outcome"


def test_a_lost_process_makes_all_restart_from_the_last_checkpoint(spark, tmp_path, monkeypatch):
    launcher, entries = LosingLauncher(2), []
    monkeypatch.setattr(launch, "make_launcher", lambda *arguments: launcher)
    assert run_training(spark, tmp_path, 2, report_progress=entries.append) == "outcome"
    assert launcher.resumed == [False, True, True]
    assert entries == [
        {"lost_process": "rank 1 was killed", "attempt": 1, "max_attempts": 3},
        {"lost_process": "rank 1 was killed", "attempt": 2, "max_attempts": 3},
    ]


def test_after_the_last_retry_the_failure_is_raised(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "make_launcher", lambda *arguments: LosingLauncher(9))
    with pytest.raises(RuntimeError, match="rank 1 was killed"):
        run_training(spark, tmp_path, 2)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((30, 64, 4, 2), "batch_size: 30 is no multiple of training.shards, 4"),
        ((32, 66, 4, 2), "numeric_batch_size: 66 is no multiple of training.shards, 4"),
        ((32, 64, 4, 3), "shards: 4 is no multiple of training.n_processes, 3"),
    ],
)
def test_batch_sizes_and_shards_that_do_not_divide_evenly_are_refused(sizes, message):
    with pytest.raises(InputError, match=message):
        check_batch_division(*sizes)


def test_progress_is_reported_in_complete_lines_and_in_order(tmp_path):
    entries = []
    (tmp_path / PROGRESS_FILE).write_text('{"step": 99}\n')  # of an earlier run
    with (
        follow_progress(tmp_path / PROGRESS_FILE, entries.append),
        (tmp_path / PROGRESS_FILE).open("a") as file,
    ):
        for text in ('{"step": 1}\n{"st', 'ep": 2}\n', '{"step": 3}\n'):
            file.write(text)
            file.flush()
    assert entries == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_the_driver_raises_the_input_error_of_a_process(tmp_path):
    assert read_process_error(tmp_path) is None
    for kind in (InputError, DivergedError):

        class Failing:
            folder = str(tmp_path)

            def run(self, process_group, report_progress, kind=kind):
                raise kind("training: the loss is nan")

        with pytest.raises(kind):
            run_and_report(Failing(), SingleProcess())
        assert type(read_process_error(tmp_path)) is kind
        assert str(read_process_error(tmp_path)) == "training: the loss is nan"


def test_horovod_gets_the_settings_as_environment_variables():
    options = HorovodOptions(fp16_compression=False, fusion_mb=64, cycle_ms=5.0, stall_seconds=300)
    assert options.environment() == {
        "HOROVOD_FUSION_THRESHOLD": "67108864",
        "HOROVOD_CYCLE_TIME": "5.0",
        "HOROVOD_STALL_CHECK_TIME_SECONDS": "150",
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "300",
    }
