"""Run a job in processes that Spark's TorchDistributor starts."""

from datetime import timedelta
from typing import cast

import numpy as np
import torch
import torch.distributed as dist
from pyspark.sql import SparkSession
from torch import Tensor, nn
from torch.optim import Optimizer

from profile_lib.training.distributed.rank_job import DistributedJob, TrainingResult, select_device
from profile_lib.training.distributed.rank_messages import forward_messages, run_and_report
from profile_lib.training.loop import ReportProgress

BUCKET_VALUES = 8 << 20  # gradient values that are summed in one call


class TorchLauncher:
    """A launcher of processes in Spark tasks, or locally on a local master."""

    def __init__(self, spark: SparkSession, stall_seconds: int) -> None:
        self.spark, self.stall_seconds = spark, stall_seconds

    def run(
        self, job: DistributedJob, n_processes: int, report_progress: ReportProgress
    ) -> TrainingResult:
        """Run `job` on `n_processes` processes. Raises InputError if one reports bad input."""
        from pyspark.ml.torch.distributor import TorchDistributor

        is_local = (self.spark.sparkContext.master or "").startswith("local")
        distributor = TorchDistributor(
            num_processes=n_processes, local_mode=is_local, use_gpu=torch.cuda.is_available()
        )
        with forward_messages(job, report_progress):
            return cast(TrainingResult, distributor.run(_run_process, job, self.stall_seconds))


class TorchProcessGroup:
    """The process group of torch.distributed, which sums gradients after the backward pass.

    A process that waits longer than `stall_seconds` for the others fails.
    """

    def __init__(self, stall_seconds: int) -> None:
        has_gpu = torch.cuda.is_available()
        stall = timedelta(seconds=stall_seconds)
        dist.init_process_group("nccl" if has_gpu else "gloo", timeout=stall)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank = self.rank % max(1, torch.cuda.device_count())
        self.device = select_device(self)

    def broadcast_model(self, model: nn.Module) -> None:
        """Broadcast the parameters and buffers of process 0."""
        for value in model.state_dict().values():
            dist.broadcast(value, 0)

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """Return the optimizer; `synchronize` sums the gradients."""
        return optimizer

    def synchronize(self, optimizer: Optimizer) -> None:
        """Sum the gradients; a process without rows adds zeros."""
        trainable = [p for group in optimizer.param_groups for p in group["params"]]
        for p in trainable:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        pending, bucket, size = [], [], 0
        for i, p in enumerate(trainable):
            bucket.append(p)
            size += p.numel()
            if size >= BUCKET_VALUES or i == len(trainable) - 1:
                flat = torch.cat([q.grad.flatten() for q in bucket if q.grad is not None])
                pending.append((dist.all_reduce(flat, async_op=True), flat, bucket))
                bucket, size = [], 0
        for work, flat, parameters in pending:
            work.wait()
            sizes = [q.numel() for q in parameters]
            for q, part in zip(parameters, flat.split(sizes), strict=True):
                q.grad = part.view_as(q)

    def step(self, optimizer: Optimizer) -> None:
        """Apply the gradients."""
        optimizer.step()

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over the processes."""
        total = values.to(self.device, copy=True)
        dist.all_reduce(total)
        return total.to(values.device)

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the rows of all processes in order of rank.

        During the transfer each process's rows are padded to the greatest number.
        """
        rows = torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        dist.all_gather(sizes, torch.tensor([len(rows)], device=self.device))
        longest = max(int(n) for n in sizes)
        padded = rows.new_zeros((longest, *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.zeros_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([p[: int(n)] for p, n in zip(parts, sizes, strict=True)]).cpu().numpy()


def _run_process(job: DistributedJob, stall_seconds: int) -> TrainingResult:
    """Run the job in a process that torchrun started."""
    process_group = TorchProcessGroup(stall_seconds)
    try:
        return run_and_report(job, process_group)
    finally:
        dist.destroy_process_group()
