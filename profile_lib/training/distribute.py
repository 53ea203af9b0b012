"""A rank's job in, its outcome out, run on as many ranks as asked: the only code with Horovod.

The ranks are Spark tasks; rank 0's progress reaches the driver by a file on the shared path.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyspark.sql import SparkSession
from torch import Tensor, nn
from torch.optim import Optimizer

from profile_lib.errors import InputError
from profile_lib.training.loop import Tell
from profile_lib.training.rank import Outcome, RankJob, run_rank
from profile_lib.training.ranks import Alone

PROGRESS = "progress.jsonl"


def train(spark: SparkSession, job: RankJob, n_ranks: int, tell: Tell) -> Outcome:
    """Run `job` in this process where `n_ranks` is 1, else on so many Spark tasks.

    Raises InputError where batches do not divide among shards and ranks, Horovod is not
    installed, Spark has too few slots, or a rank says what a user can mend.
    """
    check_division(job.plan.batch_size, job.plan.numeric_batch_size, job.shards, n_ranks)
    if n_ranks == 1:
        return run_rank(job, Alone(), tell)
    horovod = _horovod()
    _check_slots(spark, n_ranks)
    with following(Path(job.folder) / PROGRESS, tell):
        try:
            outcomes = horovod.run(_rank, args=(job,), num_proc=n_ranks, use_gloo=True, verbose=0)
        except Exception as error:
            raise reason(Path(job.folder)) or error from error
    return outcomes[0]


def check_division(batch_size: int, numeric_batch_size: int, shards: int, n_ranks: int) -> None:
    """Raise InputError where a shard would get a part of a row, or a rank a part of a shard."""
    for name, size in (("batch_size", batch_size), ("numeric_batch_size", numeric_batch_size)):
        if size % shards:
            raise InputError(f"training.{name}: {size} is no multiple of training.shards, {shards}")
    if shards % n_ranks:
        raise InputError(f"training.shards: {shards} is no multiple of training.ranks, {n_ranks}")


class HorovodRanks:
    """Ranks by Horovod: gradients are summed while the backward pass runs."""

    def __init__(self) -> None:
        import horovod.torch as hvd

        hvd.init()
        self.hvd = hvd
        self.rank, self.size, self.local_rank = hvd.rank(), hvd.size(), hvd.local_rank()

    def share(self, model: nn.Module) -> None:
        """Broadcast rank 0's parameters and buffers."""
        self.hvd.broadcast_parameters(model.state_dict(), root_rank=0)

    def wrap(self, optimizer: Optimizer, model: nn.Module) -> Optimizer:
        """The optimizer with gradients summed: the loss is divided by the global batch already."""
        tuned = {id(p) for group in optimizer.param_groups for p in group["params"]}
        named = [(name, p) for name, p in model.named_parameters() if id(p) in tuned]
        return self.hvd.DistributedOptimizer(optimizer, named_parameters=named, op=self.hvd.Sum)

    def synchronize(self, optimizer: Optimizer) -> None:
        """Wait for the sums."""
        optimizer.synchronize()  # type: ignore[attr-defined]

    def step(self, optimizer: Optimizer) -> None:
        """Apply gradients that are summed already."""
        with optimizer.skip_synchronize():  # type: ignore[attr-defined]
            optimizer.step()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the ranks."""
        # Named by shape: Horovod keeps an answer for each name, and would name each call anew.
        return self.hvd.allreduce(values, op=self.hvd.Sum, name=f"sum {tuple(values.shape)}")

    def gather(self, values: np.ndarray) -> np.ndarray:
        """The rows of all ranks, in order of rank."""
        name = f"gather {values.dtype} {values.shape[1:]}"
        return self.hvd.allgather(torch.from_numpy(values), name=name).numpy()


def _rank(job: RankJob) -> Outcome:
    """Runs in a process that Horovod started; what a user can mend is left for the driver."""
    ranks = HorovodRanks()
    folder = Path(job.folder)

    def tell(entry: dict[str, Any]) -> None:
        with (folder / PROGRESS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    try:
        return run_rank(job, ranks, tell)
    except InputError as error:
        (folder / f"error-{ranks.rank}.txt").write_text(str(error), encoding="utf-8")
        raise
    finally:
        ranks.hvd.shutdown()


def _horovod() -> Any:
    try:
        import horovod.spark
        import horovod.torch  # noqa: F401  # fails where Horovod was built without torch
    except ImportError as error:
        raise InputError(
            f"training.ranks: more than one rank needs Horovod built with torch ({error}); "
            "run conf/environment/install.sh, or set training.ranks=1"
        ) from error
    return horovod.spark


def _check_slots(spark: SparkSession, n_ranks: int) -> None:
    context = spark.sparkContext
    slots = context.defaultParallelism
    if (context.master or "").startswith("local") and slots < n_ranks:
        raise InputError(
            f"training.ranks: {n_ranks}, but {context.master} runs {slots} tasks at once; "
            f"set spark.master=local[{n_ranks}] or lower training.ranks"
        )


def reason(folder: Path) -> InputError | None:
    """What a rank left behind that a user can mend."""
    told = sorted(folder.glob("error-*.txt"))
    return InputError(told[0].read_text(encoding="utf-8")) if told else None


@contextmanager
def following(file: Path, tell: Tell) -> Iterator[None]:
    """While the body runs, pass on what rank 0 appends to `file`, line by line."""
    file.unlink(missing_ok=True)
    file.touch()
    ended = threading.Event()

    def follow() -> None:
        with file.open(encoding="utf-8") as lines:
            part = ""
            while True:
                is_last = ended.is_set()
                for text in iter(lines.readline, ""):
                    part += text
                    if part.endswith("\n"):
                        tell(json.loads(part))
                        part = ""
                if is_last:
                    return
                ended.wait(0.5)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()
