"""A rank's job in, its outcome out, on ranks that Horovod starts as Spark tasks: its only user."""

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from profile_lib.errors import InputError
from profile_lib.training.distributed.rank_job import DistributedJob, TrainingResult
from profile_lib.training.distributed.rank_messages import forward_messages, run_and_report
from profile_lib.training.loop import ReportProgress

POLL_SECONDS = 0.0005  # between two looks at whether a sum is there
MIN_SPARSE_TABLE_VALUES = 1 << 19  # values of a table of which a step reads a few rows


@dataclass(frozen=True)
class HorovodOptions:
    """How gradients travel; the settings of the same names say more."""

    fp16_compression: bool
    fusion_mb: int
    cycle_ms: float
    stall_seconds: int

    def environment(self) -> Mapping[str, str]:
        """As Horovod reads it when a rank begins."""
        return {
            "HOROVOD_FUSION_THRESHOLD": str(self.fusion_mb << 20),
            "HOROVOD_CYCLE_TIME": str(self.cycle_ms),
            "HOROVOD_STALL_CHECK_TIME_SECONDS": str(max(1, self.stall_seconds // 2)),
            "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": str(self.stall_seconds),
        }


class HorovodLauncher:
    """Ranks by horovod.spark, over Gloo, or NCCL on GPUs."""

    def __init__(self, options: HorovodOptions) -> None:
        self.options = options

    def run(
        self, job: DistributedJob, n_processes: int, report_progress: ReportProgress
    ) -> TrainingResult:
        """Run `job` on so many Spark tasks.

        Raises InputError where Horovod is not built, or a rank says what a user can mend.
        """
        horovod = _horovod()
        with forward_messages(job, report_progress):
            outcomes = horovod.run(
                _rank, args=(job, self.options), num_proc=n_processes, use_gloo=True, verbose=0
            )
        return outcomes[0]


class HorovodProcessGroup:
    """Ranks by Horovod: gradients are summed while the backward pass runs.

    Of a large table of vectors, the words', only the rows that a step has read travel: of a small
    encoder that table is half of all parameters.
    """

    def __init__(self, compress: bool = False) -> None:
        import horovod.torch as hvd

        hvd.init()
        self.hvd = hvd
        self.compression = hvd.Compression.fp16 if compress else hvd.Compression.none
        self.rank, self.size, self.local_rank = hvd.rank(), hvd.size(), hvd.local_rank()
        self._whole: dict[Tensor, Tensor] = {}  # tables sent by rows → room for their gradients
        self._filled: list[tuple[Tensor, Tensor]] = []  # of that room, the rows that are not zero

    def broadcast_model(self, model: nn.Module) -> None:
        """Broadcast rank 0's parameters and buffers."""
        self.hvd.broadcast_parameters(model.state_dict(), root_rank=0)

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """The optimizer with gradients summed: the loss is divided by the global batch already."""
        tuned = {id(p) for group in optimizer.param_groups for p in group["params"]}
        named = [(name, p) for name, p in model.named_parameters() if id(p) in tuned]
        self._whole, self._filled = {}, []
        for table in _large_tables(model):
            table.sparse = id(table.weight) in tuned
            if table.sparse:
                self._whole[table.weight] = torch.zeros_like(table.weight, requires_grad=False)
        return self.hvd.DistributedOptimizer(
            optimizer,
            named_parameters=named,
            compression=self.compression,
            backward_passes_per_step=passes,
            op=self.hvd.Sum,
        )

    def synchronize(self, optimizer: Optimizer) -> None:
        """Wait for the sums."""
        for p in self._whole:
            if p.grad is None:  # no rows for this rank: Horovod would send zeros for all of it
                none = torch.zeros(0, p.shape[1], dtype=p.dtype, device=p.device)
                at = torch.zeros(1, 0, dtype=torch.int64, device=p.device)
                p.grad = torch.sparse_coo_tensor(at, none, p.shape, check_invariants=False)
        optimizer.synchronize()  # type: ignore[attr-defined]
        # A table is too large to be made and zeroed anew for the few rows of each step.
        self._filled = []
        for p, whole in self._whole.items():
            assert p.grad is not None
            rows = p.grad._indices()[0]
            whole.index_add_(0, rows, p.grad._values())
            self._filled.append((whole, rows))
            p.grad = whole

    def step(self, optimizer: Optimizer) -> None:
        """Apply gradients that are summed already."""
        with optimizer.skip_synchronize():  # type: ignore[attr-defined]
            optimizer.step()
        for whole, rows in self._filled:
            whole.index_fill_(0, rows, 0.0)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the ranks."""
        # Named by shape: Horovod keeps an answer for each name, and would name each call anew.
        name = f"sum {tuple(values.shape)}"
        handle = self.hvd.allreduce_async(values, op=self.hvd.Sum, name=name)
        # Horovod waits by spinning, on the core that its own threads need to sum the gradients.
        while not self.hvd.poll(handle):
            time.sleep(POLL_SECONDS)
        return self.hvd.synchronize(handle)

    def gather(self, values: np.ndarray) -> np.ndarray:
        """The rows of all ranks, in order of rank."""
        name = f"gather {values.dtype} {values.shape[1:]}"
        return self.hvd.allgather(torch.from_numpy(values), name=name).numpy()


def _large_tables(model: nn.Module) -> list[nn.Embedding]:
    """Those of which nothing but the lookup makes use: words that are also told from their vectors
    have gradients everywhere."""
    uses = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    return [
        t for t in tables if uses[id(t.weight)] == 1 and t.weight.numel() >= MIN_SPARSE_TABLE_VALUES
    ]


def _rank(job: DistributedJob, options: HorovodOptions) -> TrainingResult:
    """Runs in a process that Horovod started."""
    os.environ.update(options.environment())
    process_group = HorovodProcessGroup(options.fp16_compression)
    try:
        return run_and_report(job, process_group)
    finally:
        process_group.hvd.shutdown()


def _horovod() -> Any:
    try:
        import horovod.spark
        import horovod.torch  # noqa: F401  # fails where Horovod was built without torch
    except ImportError as error:
        raise InputError(
            f"training.launcher: horovod needs Horovod built with torch ({error}); run "
            "conf/environment/install.sh, which builds it, or set training.launcher=torch, or "
            "training.n_processes=1"
        ) from error
    return horovod.spark
