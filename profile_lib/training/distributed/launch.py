"""Run a job on several processes, and restart them if one is lost."""

from dataclasses import replace
from typing import Literal, Protocol

from pyspark.sql import SparkSession

from profile_lib.errors import InputError
from profile_lib.training.distributed.horovod_launcher import HorovodLauncher, HorovodOptions
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.distributed.rank_job import DistributedJob, TrainingResult
from profile_lib.training.distributed.torch_distributor import TorchLauncher
from profile_lib.training.loop import ReportProgress

LauncherName = Literal["horovod", "torch", "in_process"]


class Launcher(Protocol):
    """A mechanism that starts the processes of a job."""

    def run(
        self, job: DistributedJob, n_processes: int, report_progress: ReportProgress
    ) -> TrainingResult:
        """Run `job` on `n_processes` processes; return the result, which all have in common.

        Raises the error of a process that fails.
        """


class InProcessLauncher:
    """A launcher that runs a job in this process."""

    def run(
        self, job: DistributedJob, n_processes: int, report_progress: ReportProgress
    ) -> TrainingResult:
        """Run `job` here. Raises InputError if more than one process is requested."""
        if n_processes > 1:
            raise InputError(
                f"training.n_processes: {n_processes}, but training.launcher in_process is one "
                "process; set training.n_processes=1, or the launcher horovod or torch"
            )
        return job.run(SingleProcess(), report_progress)


def make_launcher(name: LauncherName, spark: SparkSession, options: HorovodOptions) -> Launcher:
    """Return the launcher `name`, which starts its processes from `spark`."""
    if name == "torch":
        return TorchLauncher(spark, options.stall_seconds)
    return HorovodLauncher(options) if name == "horovod" else InProcessLauncher()


def run_with_retries(
    spark: SparkSession,
    job: DistributedJob,
    n_processes: int,
    report_progress: ReportProgress,
    *,
    launcher: LauncherName,
    options: HorovodOptions,
    retries: int,
) -> TrainingResult:
    """Run `job` on `n_processes` processes; a single one runs in this process.

    Any error except InputError counts as a lost process: all processes then start again from the
    last checkpoint, at most `retries` times, and the last error is raised. Raises InputError if
    batches cannot be divided evenly among shards and processes, Spark has too few slots, the
    launcher cannot run, or a process reports bad input.
    """
    check_batch_division(job.plan.batch_size, job.plan.numeric_batch_size, job.shards, n_processes)
    if n_processes == 1:
        return InProcessLauncher().run(job, 1, report_progress)
    check_slots(spark, n_processes)
    chosen = make_launcher(launcher, spark, options)
    for attempt in range(1, retries + 1):
        try:
            return chosen.run(job, n_processes, report_progress)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  # any failure is reported, the last is raised
            message = (str(error).splitlines() or [type(error).__name__])[0]
            report_progress(
                {"lost_process": message, "attempt": attempt, "max_attempts": retries + 1}
            )
            job = replace(job, resume=True)
    return chosen.run(job, n_processes, report_progress)


def check_batch_division(
    batch_size: int, numeric_batch_size: int, shards: int, n_processes: int
) -> None:
    """Raise InputError unless shards divide batches evenly, and processes the shards."""
    for name, size in (("batch_size", batch_size), ("numeric_batch_size", numeric_batch_size)):
        if size % shards:
            raise InputError(
                f"training.{name}: {size} is no multiple of training.shards, {shards}; change one "
                "of them"
            )
    if shards % n_processes:
        raise InputError(
            f"training.shards: {shards} is no multiple of training.n_processes, {n_processes}; "
            "change one of them"
        )


def check_slots(spark: SparkSession, n_processes: int) -> None:
    """Raise InputError if a local Spark has fewer slots than processes."""
    context = spark.sparkContext
    slots = context.defaultParallelism
    if (context.master or "").startswith("local") and slots < n_processes:
        raise InputError(
            f"training.n_processes: {n_processes}, but {context.master} runs {slots} tasks at "
            f"once; set spark.master=local[{n_processes}] or lower training.n_processes"
        )
