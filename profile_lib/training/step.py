"""Take optimizer steps on global batches, in step with other processes."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from profile_lib.spark.prefetch import Prefetcher
from profile_lib.training.adapters import orthogonality_penalty
from profile_lib.training.data.batches import Batch, split_batch
from profile_lib.training.distributed.process_group import ProcessGroup
from profile_lib.training.objectives.supervised import Objective, TensorBatch
from profile_lib.training.plan import Stage, TrainingPlan

N_REPORTED_ROWS = 3  # rows of each failing process that an error names


class StepResult(NamedTuple):
    """The loss of a step and the number of its rows, over all processes."""

    loss: float
    rows: int


class StepDivergedError(ArithmeticError):
    """A step whose loss or gradient is not a finite number; no weight was changed.

    `row_hashes` are the hashes of the first rows of each process that failed.
    """

    def __init__(self, reason: str, row_hashes: list[int]) -> None:
        super().__init__(reason)
        self.row_hashes = row_hashes


class StepRunner:
    """Takes the steps of one stage; every process of the group runs as many.

    A step's loss is the mean over its global batch. Gradients are summed over the processes,
    clipped to `max_grad_norm` and applied when all processes have computed theirs.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        plan: TrainingPlan,
        stage: Stage,
        process_group: ProcessGroup,
        device: torch.device,
        optimizer: Optimizer,
    ) -> None:
        self.model, self.objective, self.plan, self.stage = model, objective, plan, stage
        self.process_group, self.device, self.optimizer = process_group, device, optimizer
        self.supports_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.weights = torch.tensor(objective.weights, device=device)

    def run(self, batches: Prefetcher[Batch], first_step: int) -> Iterator[StepResult]:
        """Take a step per batch until no process has rows.

        `first_step` is the number of steps before these in the training. Raises StepDivergedError,
        in all processes, if a loss or a gradient is not a finite number.
        """
        parts, own_totals = self._load_parts(batches)
        totals = self.process_group.sum(own_totals)
        number = first_step
        while totals[0] > 0:
            rows = int(totals[0])
            next_parts, own_totals = self._load_parts(batches)
            loss, totals = self._take_step(parts, totals, own_totals, number)
            parts, number = next_parts, number + 1
            yield StepResult(loss, rows)

    def _load_parts(self, batches: Prefetcher[Batch]) -> tuple[list[TensorBatch], Tensor]:
        """Return this process's next batch in parts, and its share of the step's totals.

        The totals, (1 + parts of the objective,), are the number of rows, and the weight sum of
        each part of the objective.
        """
        batch = batches.next()
        pieces = [] if batch is None else split_batch(batch, self.plan.accumulation)
        parts = [self._to_tensors(piece) for piece in pieces]
        totals = torch.zeros(1 + len(self.weights), device=self.device)
        for part in parts:
            totals[0] += len(part["weight"])
            totals[1:] += self.objective.weight_sums(part)
        return parts, totals

    def _take_step(
        self, parts: list[TensorBatch], totals: Tensor, next_own_totals: Tensor, number: int
    ) -> tuple[float, Tensor]:
        """Take step `number`; return its loss and the totals of the next step.

        The next totals are summed together with the loss, so that processes wait for each other
        once per step.
        """
        # Dropout depends on the step and the process alone, so that a resumed run repeats it.
        seed = self.plan.seed * 1_000_003 + number
        torch.manual_seed(seed * 1009 + self.process_group.rank)
        self.optimizer.zero_grad()
        own_loss = self._backward(parts, totals)
        sums = self.process_group.sum(torch.cat([own_loss, next_own_totals]))
        loss = float(sums[0])
        if not math.isfinite(loss):
            has_failed = not math.isfinite(float(own_loss))
            raise self._diverged(f"the loss is {loss}", parts if has_failed else [])
        self.process_group.synchronize(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.plan.max_grad_norm))
        if not math.isfinite(norm):
            raise self._diverged(f"the gradient's norm is {norm}", parts)
        self.process_group.step(self.optimizer)
        return loss, sums[1:]

    def _backward(self, parts: list[TensorBatch], totals: Tensor) -> Tensor:
        """Add the gradients of this process's rows; return their share of the global loss, (1,)."""
        own_loss = torch.zeros(1, device=self.device)
        for part in parts:
            with torch.autocast("cuda", torch.bfloat16, enabled=self.supports_bf16):
                sums = self.objective.loss_sums(self.model, part, self.stage)
            loss = (self.weights * sums / totals[1:].clamp(min=1e-6)).sum()
            own_loss += loss.detach()
            if self.stage.with_text:  # adds up to one penalty over the parts of all processes
                loss = loss + orthogonality_penalty(self.model) * len(part["weight"]) / totals[0]
            loss.backward()
        return own_loss

    def _diverged(self, reason: str, failed_parts: list[TensorBatch]) -> StepDivergedError:
        """Return the error that all processes raise, with rows of those that failed."""
        own_hashes = np.zeros(0, np.int64)
        if failed_parts:
            own_hashes = failed_parts[0]["row_hash"][:N_REPORTED_ROWS].cpu().numpy()
        return StepDivergedError(reason, self.process_group.gather(own_hashes).tolist())

    def _to_tensors(self, batch: Batch) -> TensorBatch:
        is_gpu = self.device.type == "cuda"
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        return {
            n: (t.pin_memory() if is_gpu else t).to(self.device, non_blocking=is_gpu)
            for n, t in tensors.items()
        }
