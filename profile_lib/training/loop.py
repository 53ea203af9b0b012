"""A model, an objective and feeds in, the fitted model and its loss curve out: plain torch."""

import copy
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from profile_lib.errors import DivergedError, InputError
from profile_lib.spark.prefetch import Prefetcher
from profile_lib.training.adapters import (
    adalora_importance,
    orthogonality_penalty,
    reallocate_adalora_ranks,
    restore_adalora_importance,
)
from profile_lib.training.checkpoints import Checkpoints, TrainingState
from profile_lib.training.data.batches import Batch, Loader, split_batch
from profile_lib.training.distributed.process_group import ProcessGroup
from profile_lib.training.objectives.supervised import Objective, TensorBatch
from profile_lib.training.plan import Stage, TrainingPlan, learning_rate_share

ReportProgress = Callable[[dict[str, Any]], None]
Validate = Callable[[bool], dict[str, Any]]  # with text or without → metrics, "loss" among them


class TrainingLoop:
    """Fits a model stage by stage, from the start or from its last checkpoint.

    Each stage has its own AdamW (Loshchilov & Hutter 2019) with warm-up and linear decay, and ends
    at its best epoch by validation loss. Losses are means over the global batch, gradients are
    summed over the ranks, and a step ends when all ranks are through: any number of ranks gives
    the same curve where each row's loss is its own, and so does a run that was broken off and
    resumed.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        plan: TrainingPlan,
        process_group: ProcessGroup,
        device: torch.device,
        report_progress: ReportProgress,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.model, self.objective, self.plan = model.to(device), objective, plan
        self.process_group, self.device, self.report_progress, self.checkpoints = (
            process_group,
            device,
            report_progress,
            checkpoints,
        )
        self.supports_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.weights = torch.tensor(objective.weights, device=device)
        self.state = TrainingState()
        self._resumed: dict[str, Tensor] = {}
        self._best: dict[str, Tensor] | None = None

    @property
    def curve(self) -> list[float]:
        """The global loss of every step."""
        return self.state.curve

    def fit(self, train: Loader, validate: Validate, resume: bool = False) -> list[dict[str, Any]]:
        """Run the stages that are not over; return the validation metrics of every epoch."""
        if resume and self.checkpoints and (last := self.checkpoints.load_last()):
            self.state, self._resumed = last
            self.report_progress({"resumed at step": len(self.curve)})
        else:
            self.process_group.broadcast_model(self.model)
        for number, stage in enumerate(self.objective.stages):
            if number == self.state.stage and stage.epochs > 0:
                self._run_stage(stage, train, validate)
            if number == self.state.stage:
                self.state = TrainingState(number + 1, curve=self.curve, epochs=self.state.epochs)
        return self.state.epochs

    def _run_stage(self, stage: Stage, train: Loader, validate: Validate) -> None:
        # Fresh parameters: a distributed optimizer hangs on to those it was given.
        self.model = copy.deepcopy(self.model)
        if self.plan.compile and stage.with_text:
            self.model.bert.compile(dynamic=True)  # the encoder is where the time goes
        groups = list(self.objective.parameter_groups(self.model, stage))
        adam = AdamW(groups, fused=True)
        optimizer = self.process_group.wrap_optimizer(adam, self.model, self.plan.accumulation)
        self._best = None
        self._restore_checkpoint(optimizer)
        n_steps = stage.epochs * math.ceil(
            train.expected_rows(stage.negative_downsampling_rate) / stage.batch_size
        )
        at = self.state
        while at.epoch < stage.epochs and not self._is_stalled():
            began = time.monotonic()
            told = self._run_epoch(stage, n_steps, optimizer, train)
            metrics = validate(stage.with_text)
            told |= {"seconds": round(time.monotonic() - began, 1), "validation": metrics}
            self.report_progress(told)
            if not math.isfinite(metrics["loss"]):
                where = f"validation at {stage.name}, epoch {at.epoch + 1}"
                raise self._diverged(f"the loss is {metrics['loss']} in {where}", "")
            at.epochs.append(told)
            at.epoch, at.batch = at.epoch + 1, 0
            if at.best_loss is None or metrics["loss"] < at.best_loss:
                self._best, at.best_loss, at.epochs_since_best = (
                    _copy_weights(self.model),
                    metrics["loss"],
                    0,
                )
            else:
                at.epochs_since_best += 1
            self._write_checkpoint(optimizer)
        if self._best is not None:
            self.model.load_state_dict(self._best)

    def _is_stalled(self) -> bool:
        return self.plan.patience is not None and self.state.epochs_since_best >= self.plan.patience

    def _run_epoch(
        self, stage: Stage, n_steps: int, optimizer: Optimizer, train: Loader
    ) -> dict[str, Any]:
        at, plan = self.state, self.plan
        seed = (plan.seed, int(stage.with_text), at.epoch)
        batches = train.batches(
            stage.batch_size,
            seed,
            with_text=stage.with_text,
            negative_downsampling_rate=stage.negative_downsampling_rate,
        )
        rest = itertools.islice(batches, at.batch, None)
        ready = Prefetcher(self.objective.prepare(batch, seed, stage) for batch in rest)
        self.model.train()
        began, rows = time.monotonic(), 0
        try:
            parts, own = self._next_parts(ready)
            totals = self.process_group.sum(own)
            while totals[0] > 0:  # as long as any rank has rows
                share = learning_rate_share(at.steps_done, n_steps, plan.warmup_share)
                for group in optimizer.param_groups:
                    group["lr"] = group["peak_lr"] * share
                rows += int(totals[0])
                following, own = self._next_parts(ready)
                totals = self._step(parts, totals, own, optimizer, stage)
                parts, at.steps_done, at.batch = following, at.steps_done + 1, at.batch + 1
                if at.steps_done % plan.progress_steps == 0:
                    seconds = time.monotonic() - began
                    self.report_progress({
                        "stage": stage.name, "epoch": at.epoch + 1, "step": at.steps_done,
                        "steps": n_steps, "loss": round(self.curve[-1], 4),
                        "examples_per_second": round(rows / seconds, 1),
                        "seconds_left": round(
                            (n_steps - at.steps_done) * stage.batch_size * seconds / rows, 1
                        ),
                    })  # fmt: skip
                if plan.checkpoint_steps and at.batch % plan.checkpoint_steps == 0:
                    self._write_checkpoint(optimizer)
        finally:
            ready.close()
        self._check_rows(train)
        return {
            "stage": stage.name,
            "epoch": at.epoch + 1,
            "data_wait": round(ready.wait_seconds / max(time.monotonic() - began, 1e-9), 4),
        }

    def _next_parts(self, ready: Prefetcher[Batch]) -> tuple[list[TensorBatch], Tensor]:
        """This rank's next batch in parts, and what it adds to the totals of a step: its rows, and
        the weight of each part of the objective."""
        batch = ready.next()
        pieces = [] if batch is None else split_batch(batch, self.plan.accumulation)
        parts = [self._tensors(piece) for piece in pieces]
        totals = torch.zeros(1 + len(self.weights), device=self.device)
        for part in parts:
            totals[0] += len(part["weight"])
            totals[1:] += self.objective.weight_sums(part)
        return parts, totals

    def _step(
        self,
        parts: list[TensorBatch],
        totals: Tensor,
        following: Tensor,
        optimizer: Optimizer,
        stage: Stage,
    ) -> Tensor:
        """One step of all ranks; the totals of the next one, of which `following` are this rank's.

        They travel with the loss: ranks wait for each other once a step.
        """
        # Of dropout: another draw at each step and on each rank, and the same after a restart.
        torch.manual_seed(
            (self.plan.seed * 1_000_003 + len(self.curve)) * 1009 + self.process_group.rank
        )
        optimizer.zero_grad()
        told = torch.zeros(1, device=self.device)
        for part in parts:
            with torch.autocast("cuda", torch.bfloat16, enabled=self.supports_bf16):
                sums = self.objective.loss_sums(self.model, part, stage)
            loss = (self.weights * sums / totals[1:].clamp(min=1e-6)).sum()
            told += loss.detach()
            if stage.with_text:  # of all ranks' parts together once
                loss = loss + orthogonality_penalty(self.model) * len(part["weight"]) / totals[0]
            loss.backward()
        summed = self.process_group.sum(torch.cat([told, following]))
        whole = float(summed[0])
        if not math.isfinite(whole):
            is_ours = not math.isfinite(float(told))
            raise self._failed_step(f"the loss is {whole}", is_ours, parts, stage)
        self.process_group.synchronize(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        length = float(torch.nn.utils.clip_grad_norm_(parameters, self.plan.max_grad_norm))
        if not math.isfinite(length):
            raise self._failed_step(f"the gradient's length is {length}", True, parts, stage)
        self.curve.append(whole)
        self.process_group.step(optimizer)
        if stage.with_text:
            reallocate_adalora_ranks(self.model, self.state.steps_done)
        return summed[1:]

    def _failed_step(
        self, what: str, is_ours: bool, parts: list[TensorBatch], stage: Stage
    ) -> DivergedError:
        """What all ranks say of a step that cannot be made: where, and with whose rows."""
        ours = np.zeros(0, np.int64)
        if parts and is_ours:
            ours = parts[0]["row_hash"][:3].cpu().numpy()
        hashes = ", ".join(map(str, self.process_group.gather(ours)))
        where = f"{stage.name}, epoch {self.state.epoch + 1}, batch {self.state.batch + 1}"
        return self._diverged(f"{what} at {where} (rows of hash {hashes}, …)", " in these rows")

    def _diverged(self, what: str, where: str) -> DivergedError:
        step = None if self.checkpoints is None else self.checkpoints.last_step()
        kept = "" if step is None else f"; the checkpoint of step {step} is kept"
        return DivergedError(
            f"training: {what}{kept}. Lower training.encoder_lr and training.head_lr, or look for "
            f"broken numbers{where}"
        )

    def _tensors(self, batch: Batch) -> TensorBatch:
        is_gpu = self.device.type == "cuda"
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        return {
            n: (t.pin_memory() if is_gpu else t).to(self.device, non_blocking=is_gpu)
            for n, t in tensors.items()
        }

    def _check_rows(self, train: Loader) -> None:
        read = self.process_group.sum(torch.tensor([float(train.rows_read)], dtype=torch.float64))
        if int(read) != train.rows:
            raise InputError(
                f"{train.folder}: {int(read):,} rows read of {train.rows:,} written; "
                "the snapshot is not whole: train again, and leave the work folder alone meanwhile"
            )

    def _write_checkpoint(self, optimizer: Optimizer) -> None:
        """Rank 0 writes; what it holds all ranks hold."""
        if self.checkpoints is None or self.process_group.rank > 0:
            return
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in (self._best or {}).items()}
        for name, p in self.model.named_parameters():
            tensors |= {f"optimizer.{name}/{k}": v for k, v in optimizer.state.get(p, {}).items()}
        tensors |= {f"importance.{k}": v for k, v in adalora_importance(self.model).items()}
        self.checkpoints.write(
            self.state, {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        )

    def _restore_checkpoint(self, optimizer: Optimizer) -> None:
        """What a checkpoint held, into the model and the optimizer of its stage."""
        held, self._resumed = self._resumed, {}
        if not held:
            return
        self.model.load_state_dict(_with_prefix("model.", held))
        self._best = _with_prefix("best.", held) or None
        restore_adalora_importance(self.model, _with_prefix("importance.", held))
        states = _with_prefix("optimizer.", held)
        for name, p in self.model.named_parameters():
            if state := _with_prefix(f"{name}/", states):
                optimizer.state[p] = {k: v.to(p.device) for k, v in state.items()}


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _copy_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
