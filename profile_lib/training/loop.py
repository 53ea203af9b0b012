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
from profile_lib.prefetch import Prefetched
from profile_lib.training.adapters import (
    after_step,
    importance,
    orthogonality,
    restore_importance,
)
from profile_lib.training.batches import Batch, Source, split
from profile_lib.training.checkpoints import Checkpoints, Position
from profile_lib.training.objectives import Given, Objective
from profile_lib.training.plan import Plan, Stage, rate
from profile_lib.training.ranks import Ranks

Tell = Callable[[dict[str, Any]], None]
Validate = Callable[[bool], dict[str, Any]]  # with text or without → metrics, "loss" among them


class Loop:
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
        plan: Plan,
        ranks: Ranks,
        device: torch.device,
        tell: Tell,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.model, self.objective, self.plan = model.to(device), objective, plan
        self.ranks, self.device, self.tell, self.checkpoints = ranks, device, tell, checkpoints
        self.has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.weights = torch.tensor(objective.weights, device=device)
        self.at = Position()
        self._resumed: dict[str, Tensor] = {}
        self._best: dict[str, Tensor] | None = None

    @property
    def curve(self) -> list[float]:
        """The global loss of every step."""
        return self.at.curve

    def fit(self, train: Source, validate: Validate, resume: bool = False) -> list[dict[str, Any]]:
        """Run the stages that are not over; return the validation metrics of every epoch."""
        if resume and self.checkpoints and (last := self.checkpoints.last()):
            self.at, self._resumed = last
            self.tell({"resumed at step": len(self.curve)})
        else:
            self.ranks.share(self.model)
        for number, stage in enumerate(self.objective.stages):
            if number == self.at.stage and stage.epochs > 0:
                self._run_stage(stage, train, validate)
            if number == self.at.stage:
                self.at = Position(number + 1, curve=self.curve, epochs=self.at.epochs)
        return self.at.epochs

    def _run_stage(self, stage: Stage, train: Source, validate: Validate) -> None:
        # Fresh parameters: a distributed optimizer hangs on to those it was given.
        self.model = copy.deepcopy(self.model)
        if self.plan.compile and stage.with_text:
            self.model.bert.compile(dynamic=True)  # the encoder is where the time goes
        groups = list(self.objective.groups(self.model, stage))
        adam = AdamW(groups, fused=True)
        optimizer = self.ranks.wrap(adam, self.model, self.plan.accumulation)
        self._best = None
        self._restore(optimizer)
        n_steps = stage.epochs * math.ceil(train.expected_rows(stage.kept) / stage.size)
        at = self.at
        while at.epoch < stage.epochs and not self._is_stalled():
            began = time.monotonic()
            told = self._run_epoch(stage, n_steps, optimizer, train)
            metrics = validate(stage.with_text)
            told |= {"seconds": round(time.monotonic() - began, 1), "validation": metrics}
            self.tell(told)
            if not math.isfinite(metrics["loss"]):
                where = f"validation at {stage.name}, epoch {at.epoch + 1}"
                raise self._diverged(f"the loss is {metrics['loss']} in {where}", "")
            at.epochs.append(told)
            at.epoch, at.batch = at.epoch + 1, 0
            if at.lowest is None or metrics["loss"] < at.lowest:
                self._best, at.lowest, at.since_best = _copy(self.model), metrics["loss"], 0
            else:
                at.since_best += 1
            self._keep(optimizer)
        if self._best is not None:
            self.model.load_state_dict(self._best)

    def _is_stalled(self) -> bool:
        return self.plan.patience is not None and self.at.since_best >= self.plan.patience

    def _run_epoch(
        self, stage: Stage, n_steps: int, optimizer: Optimizer, train: Source
    ) -> dict[str, Any]:
        at, plan = self.at, self.plan
        seed = (plan.seed, int(stage.with_text), at.epoch)
        batches = train.batches(stage.size, seed, with_text=stage.with_text, kept=stage.kept)
        rest = itertools.islice(batches, at.batch, None)
        ready = Prefetched(self.objective.prepare(batch, seed, stage) for batch in rest)
        self.model.train()
        began, rows = time.monotonic(), 0
        try:
            parts, own = self._take(ready)
            totals = self.ranks.sum(own)
            while totals[0] > 0:  # as long as any rank has rows
                share = rate(at.done, n_steps, plan.warmup_share)
                for group in optimizer.param_groups:
                    group["lr"] = group["highest"] * share
                rows += int(totals[0])
                following, own = self._take(ready)
                totals = self._step(parts, totals, own, optimizer, stage)
                parts, at.done, at.batch = following, at.done + 1, at.batch + 1
                if at.done % plan.progress_steps == 0:
                    seconds = time.monotonic() - began
                    self.tell({
                        "stage": stage.name, "epoch": at.epoch + 1, "step": at.done,
                        "steps": n_steps, "loss": round(self.curve[-1], 4),
                        "examples_a_second": round(rows / seconds, 1),
                    })  # fmt: skip
                if plan.checkpoint_steps and at.batch % plan.checkpoint_steps == 0:
                    self._keep(optimizer)
        finally:
            ready.close()
        self._check_rows(train)
        return {
            "stage": stage.name,
            "epoch": at.epoch + 1,
            "data_wait": round(ready.waited / max(time.monotonic() - began, 1e-9), 4),
        }

    def _take(self, ready: Prefetched[Batch]) -> tuple[list[Given], Tensor]:
        """This rank's next batch in parts, and what it adds to the totals of a step: its rows, and
        the weight of each part of the objective."""
        batch = ready.next()
        pieces = [] if batch is None else split(batch, self.plan.accumulation)
        parts = [self._tensors(piece) for piece in pieces]
        totals = torch.zeros(1 + len(self.weights), device=self.device)
        for part in parts:
            totals[0] += len(part["weight"])
            totals[1:] += self.objective.totals(part)
        return parts, totals

    def _step(
        self,
        parts: list[Given],
        totals: Tensor,
        following: Tensor,
        optimizer: Optimizer,
        stage: Stage,
    ) -> Tensor:
        """One step of all ranks; the totals of the next one, of which `following` are this rank's.

        They travel with the loss: ranks wait for each other once a step.
        """
        # Of dropout: another draw at each step and on each rank, and the same after a restart.
        torch.manual_seed((self.plan.seed * 1_000_003 + len(self.curve)) * 1009 + self.ranks.rank)
        optimizer.zero_grad()
        told = torch.zeros(1, device=self.device)
        for part in parts:
            with torch.autocast("cuda", torch.bfloat16, enabled=self.has_bf16):
                sums = self.objective.sums(self.model, part, stage)
            loss = (self.weights * sums / totals[1:].clamp(min=1e-6)).sum()
            told += loss.detach()
            if stage.with_text:  # of all ranks' parts together once
                loss = loss + orthogonality(self.model) * len(part["weight"]) / totals[0]
            loss.backward()
        summed = self.ranks.sum(torch.cat([told, following]))
        whole = float(summed[0])
        if not math.isfinite(whole):
            is_ours = not math.isfinite(float(told))
            raise self._broken(f"the loss is {whole}", is_ours, parts, stage)
        self.ranks.synchronize(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        length = float(torch.nn.utils.clip_grad_norm_(parameters, self.plan.max_grad_norm))
        if not math.isfinite(length):
            raise self._broken(f"the gradient's length is {length}", True, parts, stage)
        self.curve.append(whole)
        self.ranks.step(optimizer)
        if stage.with_text:
            after_step(self.model, self.at.done)
        return summed[1:]

    def _broken(self, what: str, is_ours: bool, parts: list[Given], stage: Stage) -> DivergedError:
        """What all ranks say of a step that cannot be made: where, and with whose rows."""
        ours = np.zeros(0, np.int64)
        if parts and is_ours:
            ours = parts[0]["row_hash"][:3].cpu().numpy()
        hashes = ", ".join(map(str, self.ranks.gather(ours)))
        where = f"{stage.name}, epoch {self.at.epoch + 1}, batch {self.at.batch + 1}"
        return self._diverged(f"{what} at {where} (rows of hash {hashes}, …)", " in these rows")

    def _diverged(self, what: str, where: str) -> DivergedError:
        step = None if self.checkpoints is None else self.checkpoints.last_step()
        kept = "" if step is None else f"; the checkpoint of step {step} is kept"
        return DivergedError(
            f"training: {what}{kept}. Lower training.encoder_lr and training.head_lr, or look for "
            f"broken numbers{where}"
        )

    def _tensors(self, batch: Batch) -> Given:
        is_gpu = self.device.type == "cuda"
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        return {
            n: (t.pin_memory() if is_gpu else t).to(self.device, non_blocking=is_gpu)
            for n, t in tensors.items()
        }

    def _check_rows(self, train: Source) -> None:
        read = self.ranks.sum(torch.tensor([float(train.rows_read)], dtype=torch.float64))
        if int(read) != train.rows:
            raise InputError(
                f"{train.folder}: {int(read):,} rows read of {train.rows:,} written; "
                "the snapshot is not whole: train again, and leave the work folder alone meanwhile"
            )

    def _keep(self, optimizer: Optimizer) -> None:
        """Rank 0 writes; what it holds all ranks hold."""
        if self.checkpoints is None or self.ranks.rank > 0:
            return
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in (self._best or {}).items()}
        for name, p in self.model.named_parameters():
            tensors |= {f"optimizer.{name}/{k}": v for k, v in optimizer.state.get(p, {}).items()}
        tensors |= {f"importance.{k}": v for k, v in importance(self.model).items()}
        self.checkpoints.write(
            self.at, {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        )

    def _restore(self, optimizer: Optimizer) -> None:
        """What a checkpoint held, into the model and the optimizer of its stage."""
        held, self._resumed = self._resumed, {}
        if not held:
            return
        self.model.load_state_dict(_of("model.", held))
        self._best = _of("best.", held) or None
        restore_importance(self.model, _of("importance.", held))
        states = _of("optimizer.", held)
        for name, p in self.model.named_parameters():
            if state := _of(f"{name}/", states):
                optimizer.state[p] = {k: v.to(p.device) for k, v in state.items()}


def _of(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
