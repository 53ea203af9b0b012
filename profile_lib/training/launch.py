"""A rank's job in, its outcome out, on as many ranks as asked; a lost rank is made up for."""

from dataclasses import replace
from typing import Literal, Protocol

from pyspark.sql import SparkSession

from profile_lib.errors import InputError
from profile_lib.training.distribute import HorovodLauncher, HorovodOptions
from profile_lib.training.loop import Tell
from profile_lib.training.rank import Outcome, RankJob
from profile_lib.training.ranks import Alone
from profile_lib.training.torch_ranks import TorchLauncher

LauncherName = Literal["horovod", "torch", "in_process"]


class Launcher(Protocol):
    """Starts ranks, and ends with what they return or with the error of one of them."""

    def run(self, job: RankJob, n_ranks: int, tell: Tell) -> Outcome:
        """Run `job` on so many ranks that it starts."""


class InProcess:
    """One rank, in this process."""

    def run(self, job: RankJob, n_ranks: int, tell: Tell) -> Outcome:
        """Run `job` here. Raises InputError where more than one rank is asked for."""
        if n_ranks > 1:
            raise InputError(
                f"training.ranks: {n_ranks}, but training.launcher in_process is one process; set "
                "training.ranks=1, or the launcher horovod or torch"
            )
        return job.run(Alone(), tell)


def launcher_of(name: LauncherName, spark: SparkSession, options: HorovodOptions) -> Launcher:
    """The launcher of that name."""
    if name == "torch":
        return TorchLauncher(spark, options.stall_seconds)
    return HorovodLauncher(options) if name == "horovod" else InProcess()


def train(
    spark: SparkSession,
    job: RankJob,
    n_ranks: int,
    tell: Tell,
    *,
    launcher: LauncherName,
    options: HorovodOptions,
    retries: int,
) -> Outcome:
    """Run `job` on `n_ranks`; one rank always runs in this process.

    Where a rank is lost, all are started again from the last checkpoint, `retries` times at most.
    Raises InputError where batches do not divide among shards and ranks, Spark has too few slots,
    the launcher cannot run, or a rank says what a user can mend.
    """
    check_division(job.plan.batch_size, job.plan.numeric_batch_size, job.shards, n_ranks)
    if n_ranks == 1:
        return InProcess().run(job, 1, tell)
    check_slots(spark, n_ranks)
    chosen = launcher_of(launcher, spark, options)
    for attempt in range(1, retries + 1):
        try:
            return chosen.run(job, n_ranks, tell)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever ended it is told, the last is raised
            lost = (str(error).splitlines() or [type(error).__name__])[0]
            tell({"a rank was lost": lost, "attempt": attempt, "of": retries + 1})
            job = replace(job, resume=True)
    return chosen.run(job, n_ranks, tell)


def check_division(batch_size: int, numeric_batch_size: int, shards: int, n_ranks: int) -> None:
    """Raise InputError where a shard would get a part of a row, or a rank a part of a shard."""
    for name, size in (("batch_size", batch_size), ("numeric_batch_size", numeric_batch_size)):
        if size % shards:
            raise InputError(f"training.{name}: {size} is no multiple of training.shards, {shards}")
    if shards % n_ranks:
        raise InputError(f"training.shards: {shards} is no multiple of training.ranks, {n_ranks}")


def check_slots(spark: SparkSession, n_ranks: int) -> None:
    """Raise InputError where a local Spark has fewer slots than ranks."""
    context = spark.sparkContext
    slots = context.defaultParallelism
    if (context.master or "").startswith("local") and slots < n_ranks:
        raise InputError(
            f"training.ranks: {n_ranks}, but {context.master} runs {slots} tasks at once; "
            f"set spark.master=local[{n_ranks}] or lower training.ranks"
        )
