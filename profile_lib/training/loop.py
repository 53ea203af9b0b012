"""A model and feeds in, the fitted model and its loss curve out: plain torch, on any ranks."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from profile_lib.errors import InputError
from profile_lib.model.encoder import ProfileModel
from profile_lib.training.batches import Batch, Source
from profile_lib.training.losses import loss_sums, loss_weights
from profile_lib.training.plan import Plan, Stage, freeze, parameter_groups, rate
from profile_lib.training.ranks import Ranks

Tell = Callable[[dict[str, Any]], None]
Validate = Callable[[bool], dict[str, Any]]  # with text or without → metrics, "loss" among them


class Loop:
    """Fits a model: first its numbers and heads alone, cheaply; then its encoder joins.

    Each stage has its own AdamW (Loshchilov & Hutter 2019) with warm-up and linear decay, and ends
    at its best epoch by validation loss. Losses are means over the global batch, gradients are
    summed over the ranks, and a step ends when all ranks are through: any number of ranks gives
    the same curve.
    """

    def __init__(
        self, model: ProfileModel, plan: Plan, ranks: Ranks, device: torch.device, tell: Tell
    ) -> None:
        self.model, self.plan, self.ranks, self.tell = model.to(device), plan, ranks, tell
        self.device = device
        self.has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.task_weights = torch.tensor(plan.task_weights, device=device)
        self.curve: list[float] = []  # the global loss of every step
        freeze(model, plan.frozen_layers)
        torch.manual_seed(plan.seed * 1000 + ranks.rank)  # of dropout: another one on each rank

    def fit(self, train: Source, validate: Validate) -> list[dict[str, Any]]:
        """Run both stages; return the validation metrics of every epoch."""
        self.ranks.share(self.model)
        plan = self.plan
        stages = (
            Stage("numbers", False, plan.numeric_epochs, plan.numeric_batch_size, 1.0),
            Stage("text", True, plan.epochs, plan.batch_size, plan.negatives_kept),
        )
        return [entry for stage in stages for entry in self._run_stage(stage, train, validate)]

    def _run_stage(
        self, stage: Stage, train: Source, validate: Validate
    ) -> Iterator[dict[str, Any]]:
        if stage.epochs == 0:
            return
        # Fresh parameters: a distributed optimizer hangs on to those it was given.
        self.model = copy.deepcopy(self.model)
        groups = parameter_groups(self.model, self.plan, stage)
        adam = AdamW(groups, weight_decay=self.plan.weight_decay)
        optimizer = self.ranks.wrap(adam, self.model)
        n_steps = stage.epochs * math.ceil(train.expected_rows(stage.kept) / stage.size)
        best, lowest, done = _copy(self.model), math.inf, 0
        for epoch in range(stage.epochs):
            began = time.monotonic()
            done = self._run_epoch(stage, epoch, done, n_steps, optimizer, train)
            metrics = validate(stage.with_text)
            entry = {
                "stage": stage.name,
                "epoch": epoch + 1,
                "seconds": round(time.monotonic() - began, 1),
                "validation": metrics,
            }
            self.tell(entry)
            yield entry
            if metrics["loss"] < lowest:
                best, lowest = _copy(self.model), metrics["loss"]
        self.model.load_state_dict(best)

    def _run_epoch(
        self, stage: Stage, epoch: int, done: int, n_steps: int, optimizer: Optimizer, train: Source
    ) -> int:
        seed = (self.plan.seed, int(stage.with_text), epoch)
        batches = train.batches(stage.size, seed, with_text=stage.with_text, kept=stage.kept)
        self.model.train()
        began, first, rows = time.monotonic(), done, 0
        while True:
            _set_rate(optimizer, rate(done, n_steps, self.plan.warmup_share))
            where = f"{stage.name}, epoch {epoch + 1}, step {done - first + 1}"
            n = self._step(next(batches, None), optimizer, stage.with_text, where)
            if n == 0:
                break
            done, rows = done + 1, rows + n
            if done % self.plan.progress_steps == 0:
                speed = rows / (time.monotonic() - began)
                self.tell({
                    "stage": stage.name, "epoch": epoch + 1, "step": done, "steps": n_steps,
                    "loss": round(self.curve[-1], 4), "examples_a_second": round(speed, 1),
                })  # fmt: skip
        self._check_rows(train)
        return done

    def _step(self, batch: Batch | None, optimizer: Optimizer, with_text: bool, where: str) -> int:
        """One step of all ranks; the rows of the global batch, 0 where no rank has any left."""
        given = self._tensors(batch)
        totals = torch.zeros(1 + len(self.task_weights), device=self.device)
        if given is not None:
            totals[0] = len(given["weight"])
            totals[1:] = loss_weights(given["labels"], given["weight"])
        totals = self.ranks.sum(totals)
        if totals[0] == 0:
            return 0
        optimizer.zero_grad()
        loss = torch.zeros((), device=self.device)
        if given is not None:
            sums = self._losses(given, with_text)
            loss = (self.task_weights * sums / totals[1:].clamp(min=1e-6)).sum()
        told = float(self.ranks.sum(loss.detach().clone()))
        if not math.isfinite(told):
            raise InputError(
                f"training: the loss is {told} at {where}; "
                "lower training.encoder_lr and training.head_lr, or look for broken numbers"
            )
        self.curve.append(told)
        if given is not None:
            loss.backward()
        self.ranks.synchronize(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.plan.max_grad_norm)
        self.ranks.step(optimizer)
        return int(totals[0])

    def _losses(self, given: dict[str, Tensor], with_text: bool) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=self.has_bf16):
            if with_text:
                logits = self.model(given["token_ids"], given["n_tokens"], given["numeric"]).logits
            else:
                logits = self.model.numbers_only(given["numeric"])
        return loss_sums(self.model.spec.tasks, logits, given["labels"], given["weight"])

    def _tensors(self, batch: Batch | None) -> dict[str, Tensor] | None:
        if batch is None or len(batch.weight) == 0:
            return None
        arrays = {k: v for k, v in batch._asdict().items() if v is not None}
        return {k: torch.from_numpy(v).to(self.device) for k, v in arrays.items()}

    def _check_rows(self, train: Source) -> None:
        read = self.ranks.sum(torch.tensor([float(train.rows_read)], dtype=torch.float64))
        if int(read) != train.rows:
            raise InputError(
                f"{train.folder}: {int(read):,} rows read of {train.rows:,} written; "
                "the snapshot is not whole: train again, and leave the work folder alone meanwhile"
            )


def _set_rate(optimizer: Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["highest"] * share


def _copy(model: ProfileModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
