"""Start the processes of a training as the settings request."""

from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from profile_lib.config.settings import Settings
from profile_lib.pipelines.training_checkpoints import checkpoint_path, hadoop_conf
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.horovod_launcher import HorovodOptions
from profile_lib.training.distributed.launch import run_with_retries
from profile_lib.training.distributed.rank_job import DistributedJob, TrainingResult
from profile_lib.training.loop import ReportProgress


def shared_job_arguments(
    spark: SparkSession, settings: Settings, folder: Path, snapshot: Snapshot, resume: bool
) -> dict[str, Any]:
    """Return the arguments that all kinds of DistributedJob in `folder` share, except the plan."""
    training = settings.training
    return {
        "folder": str(folder),
        "snapshot": snapshot,
        "weights": tuple(task.weight for task in settings.model.tasks),
        "shards": training.shards,
        "shuffle_rows": training.shuffle_rows,
        "threads": training.threads_per_process,
        "checkpoint_path": checkpoint_path(settings, folder),
        "resume": resume,
        "hadoop": hadoop_conf(spark),
    }


def run_on_processes(
    spark: SparkSession, settings: Settings, job: DistributedJob, report_progress: ReportProgress
) -> TrainingResult:
    """Run `job` on training.n_processes processes. Raises InputError as `run_with_retries`."""
    training = settings.training
    options = HorovodOptions(**training.horovod.model_dump(), stall_seconds=training.stall_seconds)
    return run_with_retries(
        spark,
        job,
        training.n_processes,
        report_progress,
        launcher=training.launcher,
        options=options,
        retries=training.retries,
    )
