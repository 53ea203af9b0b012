"""A rank's job in, its outcome out, on ranks that Spark's TorchDistributor starts."""

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

BUCKET_VALUES = 8 << 20  # values that are summed together


class TorchLauncher:
    """Ranks by torch.distributed: as Spark tasks, on a local master as processes beside it."""

    def __init__(self, spark: SparkSession, stall_seconds: int) -> None:
        self.spark, self.stall_seconds = spark, stall_seconds

    def run(
        self, job: DistributedJob, n_processes: int, report_progress: ReportProgress
    ) -> TrainingResult:
        """Run `job` on so many ranks. Raises InputError where a rank says what a user can mend."""
        from pyspark.ml.torch.distributor import TorchDistributor

        is_local = (self.spark.sparkContext.master or "").startswith("local")
        distributor = TorchDistributor(
            num_processes=n_processes, local_mode=is_local, use_gpu=torch.cuda.is_available()
        )
        with forward_messages(job, report_progress):
            return cast(TrainingResult, distributor.run(_rank, job, self.stall_seconds))


class TorchProcessGroup:
    """Ranks by torch.distributed: gradients are summed in large pieces after the backward pass."""

    def __init__(self, stall_seconds: int) -> None:
        has_gpu = torch.cuda.is_available()
        stall = timedelta(seconds=stall_seconds)
        dist.init_process_group("nccl" if has_gpu else "gloo", timeout=stall)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank = self.rank % max(1, torch.cuda.device_count())
        self.device = select_device(self)

    def broadcast_model(self, model: nn.Module) -> None:
        """Broadcast rank 0's parameters and buffers."""
        for value in model.state_dict().values():
            dist.broadcast(value, 0)

    def wrap_optimizer(self, optimizer: Optimizer, model: nn.Module, passes: int) -> Optimizer:
        """The optimizer as it is: `synchronize` sums."""
        return optimizer

    def synchronize(self, optimizer: Optimizer) -> None:
        """Sum the gradients; a rank that had no rows adds zeros."""
        tuned = [p for group in optimizer.param_groups for p in group["params"]]
        for p in tuned:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        works, bucket, size = [], [], 0
        for i, p in enumerate(tuned):
            bucket.append(p)
            size += p.numel()
            if size >= BUCKET_VALUES or i == len(tuned) - 1:
                flat = torch.cat([q.grad.flatten() for q in bucket if q.grad is not None])
                works.append((dist.all_reduce(flat, async_op=True), flat, bucket))
                bucket, size = [], 0
        for work, flat, summed in works:
            work.wait()
            for q, part in zip(summed, flat.split([q.numel() for q in summed]), strict=True):
                q.grad = part.view_as(q)

    def step(self, optimizer: Optimizer) -> None:
        """Apply the gradients."""
        optimizer.step()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the ranks."""
        there = values.to(self.device, copy=True)
        dist.all_reduce(there)
        return there.to(values.device)

    def gather(self, values: np.ndarray) -> np.ndarray:
        """The rows of all ranks, in order of rank; padded on the way to the longest."""
        own = torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        dist.all_gather(sizes, torch.tensor([len(own)], device=self.device))
        longest = max(int(n) for n in sizes)
        padded = own.new_zeros((longest, *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.zeros_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([p[: int(n)] for p, n in zip(parts, sizes, strict=True)]).cpu().numpy()


def _rank(job: DistributedJob, stall_seconds: int) -> TrainingResult:
    """Runs in a process that torchrun started."""
    process_group = TorchProcessGroup(stall_seconds)
    try:
        return run_and_report(job, process_group)
    finally:
        dist.destroy_process_group()
