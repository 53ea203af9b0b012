"""Run a job in Spark tasks by Horovod; no other file uses Horovod."""

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

POLL_SECONDS = 0.0005  # between two checks whether a sum is complete
MIN_SPARSE_TABLE_VALUES = 1 << 19  # smaller embedding tables send their complete gradient


@dataclass(frozen=True)
class HorovodOptions:
    """The settings of `training.horovod`, and `training.stall_seconds`."""

    fp16_compression: bool
    fusion_mb: int
    cycle_ms: float
    stall_seconds: int

    def environment(self) -> Mapping[str, str]:
        """Return the environment variables that Horovod reads when a process starts."""
        return {
            "HOROVOD_FUSION_THRESHOLD": str(self.fusion_mb << 20),
            "HOROVOD_CYCLE_TIME": str(self.cycle_ms),
            "HOROVOD_STALL_CHECK_TIME_SECONDS": str(max(1, self.stall_seconds // 2)),
            "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": str(self.stall_seconds),
        }


class HorovodLauncher:
    """A launcher of processes by horovod.spark, which sum over Gloo, or NCCL on GPUs."""

    def __init__(self, options: HorovodOptions) -> None:
        self.options = options

    def run(
        self, job: DistributedJob, n_processes: int, report_progress: ReportProgress
    ) -> TrainingResult:
        """Run `job` on `n_processes` Spark tasks.

        Raises InputError if Horovod is not installed, or a process reports bad input.
        """
        horovod = _horovod()
        with forward_messages(job, report_progress):
            outcomes = horovod.run(
                _run_process,
                args=(job, self.options),
                num_proc=n_processes,
                use_gloo=True,
                verbose=0,
            )
        return outcomes[0]


class HorovodProcessGroup:
    """The process group of Horovod, which sums gradients while the backward pass runs.

    A large embedding table, such as that of the words, sends only the rows that a step has read: in
    a small encoder that table is half of all parameters. With `compress` gradients are sent in
    fp16.
    """

    def __init__(self, compress: bool = False) -> None:
        import horovod.torch as hvd

        hvd.init()
        self.hvd = hvd
        self.compression = hvd.Compression.fp16 if compress else hvd.Compression.none
        self.rank, self.size, self.local_rank = hvd.rank(), hvd.size(), hvd.local_rank()
        self._dense_gradients: dict[Tensor, Tensor] = {}  # weights of a table sent by rows → buffer
        self._filled: list[tuple[Tensor, Tensor]] = []  # buffers and their nonzero rows

    def broadcast_model(self, model: nn.Module) -> None:
        """Broadcast the parameters and buffers of process 0."""
        self.hvd.broadcast_parameters(model.state_dict(), root_rank=0)

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """Return an optimizer that sums gradients.

        It does not average them, because losses are means over the global batch already.
        """
        trainable = {id(p) for group in optimizer.param_groups for p in group["params"]}
        named = [(name, p) for name, p in model.named_parameters() if id(p) in trainable]
        self._dense_gradients, self._filled = {}, []
        for table in _large_tables(model):
            table.sparse = id(table.weight) in trainable
            if table.sparse:
                weight = table.weight
                self._dense_gradients[weight] = torch.zeros_like(weight, requires_grad=False)
        return self.hvd.DistributedOptimizer(
            optimizer,
            named_parameters=named,
            compression=self.compression,
            backward_passes_per_step=passes,
            op=self.hvd.Sum,
        )

    def synchronize(self, optimizer: Optimizer) -> None:
        """Wait until the gradients are summed, and expand those that were sent by rows."""
        for p in self._dense_gradients:
            if p.grad is None:  # without rows, Horovod would send zeros for the entire table
                values = torch.zeros(0, p.shape[1], dtype=p.dtype, device=p.device)
                rows = torch.zeros(1, 0, dtype=torch.int64, device=p.device)
                p.grad = torch.sparse_coo_tensor(rows, values, p.shape, check_invariants=False)
        optimizer.synchronize()  # type: ignore[attr-defined]
        # The buffers are used again: allocating a whole table for the few rows of a step is slow.
        self._filled = []
        for p, dense in self._dense_gradients.items():
            assert p.grad is not None
            rows = p.grad._indices()[0]
            dense.index_add_(0, rows, p.grad._values())
            self._filled.append((dense, rows))
            p.grad = dense

    def step(self, optimizer: Optimizer) -> None:
        """Apply the summed gradients."""
        with optimizer.skip_synchronize():  # type: ignore[attr-defined]
            optimizer.step()
        for dense, rows in self._filled:
            dense.index_fill_(0, rows, 0.0)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over the processes."""
        # Horovod caches a response per name, and its default names are new at each call.
        name = f"sum {tuple(values.shape)}"
        handle = self.hvd.allreduce_async(values, op=self.hvd.Sum, name=name)
        # Horovod would wait in a busy loop, on the core that its threads need for the gradients.
        while not self.hvd.poll(handle):
            time.sleep(POLL_SECONDS)
        return self.hvd.synchronize(handle)

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the rows of all processes in order of rank."""
        name = f"gather {values.dtype} {values.shape[1:]}"
        return self.hvd.allgather(torch.from_numpy(values), name=name).numpy()


def _large_tables(model: nn.Module) -> list[nn.Embedding]:
    """Return the large embedding tables that are used for look-ups alone.

    A table that also scores masked words has a gradient in every row, so it is left out.
    """
    uses = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    return [
        t for t in tables if uses[id(t.weight)] == 1 and t.weight.numel() >= MIN_SPARSE_TABLE_VALUES
    ]


def _run_process(job: DistributedJob, options: HorovodOptions) -> TrainingResult:
    """Run the job in a process that Horovod started."""
    os.environ.update(options.environment())
    process_group = HorovodProcessGroup(options.fp16_compression)
    try:
        return run_and_report(job, process_group)
    finally:
        process_group.hvd.shutdown()


def _horovod() -> Any:
    try:
        import horovod.spark
        import horovod.torch  # noqa: F401  # fails if Horovod was built without torch
    except ImportError as error:
        raise InputError(
            f"training.launcher: horovod needs Horovod built with torch ({error}); run "
            "conf/environment/install.sh, which builds it, or set training.launcher=torch, or "
            "training.n_processes=1"
        ) from error
    return horovod.spark
