"""Fit a model stage by stage, in step with other processes, in plain torch."""

import copy
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from profile_lib.errors import DivergedError, InputError
from profile_lib.spark.prefetch import Prefetcher
from profile_lib.training.adapters import reallocate_adalora_ranks
from profile_lib.training.checkpoint_tensors import collect_tensors, restore_tensors
from profile_lib.training.checkpoints import Checkpoints, TrainingState
from profile_lib.training.data.batches import Loader
from profile_lib.training.distributed.process_group import ProcessGroup
from profile_lib.training.objectives.supervised import Objective
from profile_lib.training.plan import Stage, TrainingPlan, learning_rate_share
from profile_lib.training.step import StepDivergedError, StepRunner

ReportProgress = Callable[[dict[str, Any]], None]
Validate = Callable[[bool], dict[str, Any]]  # whether text is read → metrics, among them `loss`


class TrainingLoop:
    """A loop over the stages and epochs of a training.

    It begins at the start or at the last checkpoint. Each stage has its own AdamW (Loshchilov &
    Hutter 2019) with warm-up and linear decay, and ends with the weights of its best epoch by
    validation loss. Losses are means over the global batch, and gradients are summed over the
    processes. Any number of processes therefore gives the same curve, provided that each row's loss
    does not depend on other rows, and so does a run that was interrupted and resumed.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model, self.objective, self.plan = model.to(device), objective, plan
        self.process_group, self.device = process_group, device
        self.report_progress, self.checkpoints, self.clock = report_progress, checkpoints, clock
        self.state = TrainingState()
        self._resumed: dict[str, Tensor] = {}  # tensors of the checkpoint, until they are restored
        self._best: dict[str, Tensor] | None = None  # weights of the stage's best epoch

    @property
    def curve(self) -> list[float]:
        """The global loss of every step."""
        return self.state.curve

    def fit(self, train: Loader, validate: Validate, resume: bool = False) -> list[dict[str, Any]]:
        """Run the stages that are not finished; return one entry per epoch of all stages.

        An entry holds the stage, the epoch, its seconds, the share of them spent waiting for data,
        and the `validation` metrics. Raises DivergedError if a loss or a gradient is not a finite
        number, and InputError if the loader or the objective refuses the rows, rows are missing, or
        the checkpoint cannot be read or written.
        """
        if resume and self.checkpoints and (checkpoint := self.checkpoints.load_last()):
            self.state, self._resumed = checkpoint
            self.report_progress({"resumed_at_step": len(self.curve)})
        else:
            self.process_group.broadcast_model(self.model)
        for number, stage in enumerate(self.objective.stages):
            if number == self.state.stage and stage.epochs > 0:
                self._run_stage(stage, train, validate)
            if number == self.state.stage:
                self.state = TrainingState(number + 1, curve=self.curve, epochs=self.state.epochs)
        return self.state.epochs

    def _run_stage(self, stage: Stage, train: Loader, validate: Validate) -> None:
        # Fresh parameters: a distributed optimizer keeps hooks on those that it was given.
        self.model = copy.deepcopy(self.model)
        if self.plan.compile and stage.with_text:
            self.model.bert.compile(dynamic=True)  # the encoder takes most of the time
        groups = list(self.objective.parameter_groups(self.model, stage))
        adam = AdamW(groups, fused=True)
        optimizer = self.process_group.wrap_optimizer(adam, self.model, self.plan.accumulation)
        self._best = None
        if self._resumed:
            self._best = restore_tensors(self._resumed, self.model, optimizer)
            self._resumed = {}
        n_steps = stage.epochs * math.ceil(
            train.expected_rows(stage.negative_downsampling_rate) / stage.batch_size
        )
        state = self.state
        while state.epoch < stage.epochs and not self._is_stalled():
            start = self.clock()
            entry = self._run_epoch(stage, n_steps, optimizer, train)
            metrics = validate(stage.with_text)
            entry |= {"seconds": round(self.clock() - start, 1), "validation": metrics}
            self.report_progress(entry)
            if not math.isfinite(metrics["loss"]):
                place = f"validation at {stage.name}, epoch {state.epoch + 1}"
                raise self._diverged(f"the loss is {metrics['loss']} in {place}", "")
            state.epochs.append(entry)
            state.epoch, state.batch = state.epoch + 1, 0
            self._keep_best(metrics["loss"])
            self._write_checkpoint(optimizer)
        if self._best is not None:
            self.model.load_state_dict(self._best)

    def _keep_best(self, loss: float) -> None:
        """Copy the weights if the epoch's validation loss is the stage's lowest."""
        state = self.state
        if state.best_loss is None or loss < state.best_loss:
            self._best = _copy_weights(self.model)
            state.best_loss, state.epochs_since_best = loss, 0
        else:
            state.epochs_since_best += 1

    def _is_stalled(self) -> bool:
        return self.plan.patience is not None and self.state.epochs_since_best >= self.plan.patience

    def _run_epoch(
        self, stage: Stage, n_steps: int, optimizer: Optimizer, train: Loader
    ) -> dict[str, Any]:
        """Take the remaining steps of an epoch; return its entry without metrics."""
        state, plan = self.state, self.plan
        seed = (plan.seed, int(stage.with_text), state.epoch)
        batches = train.batches(
            stage.batch_size,
            seed,
            with_text=stage.with_text,
            negative_downsampling_rate=stage.negative_downsampling_rate,
        )
        remaining = itertools.islice(batches, state.batch, None)
        prefetcher = Prefetcher(self.objective.prepare(batch, seed, stage) for batch in remaining)
        steps = StepRunner(
            self.model, self.objective, plan, stage, self.process_group, self.device, optimizer
        )
        self.model.train()
        start, rows = self.clock(), 0
        self._set_learning_rates(optimizer, n_steps)
        try:
            for step in steps.run(prefetcher, len(self.curve)):
                self.curve.append(step.loss)
                if stage.with_text:
                    reallocate_adalora_ranks(self.model, state.steps_done)
                state.steps_done, state.batch = state.steps_done + 1, state.batch + 1
                rows += step.rows
                if state.steps_done % plan.progress_steps == 0:
                    self._report_step(stage, n_steps, rows, self.clock() - start)
                if plan.checkpoint_steps and state.batch % plan.checkpoint_steps == 0:
                    self._write_checkpoint(optimizer)
                self._set_learning_rates(optimizer, n_steps)
        except StepDivergedError as error:
            place = f"{stage.name}, epoch {state.epoch + 1}, batch {state.batch + 1}"
            hashes = ", ".join(map(str, error.row_hashes))
            reason = f"{error} at {place} (rows of hash {hashes}, …)"
            raise self._diverged(reason, " in these rows") from error
        finally:
            prefetcher.close()
        self._check_rows(train)
        return {
            "stage": stage.name,
            "epoch": state.epoch + 1,
            "data_wait": round(prefetcher.wait_seconds / max(self.clock() - start, 1e-9), 4),
        }

    def _set_learning_rates(self, optimizer: Optimizer, n_steps: int) -> None:
        """Set the rates of the stage's next step, one of `n_steps`."""
        share = learning_rate_share(self.state.steps_done, n_steps, self.plan.warmup_share)
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * share

    def _report_step(self, stage: Stage, n_steps: int, rows: int, seconds: float) -> None:
        """Report the last step; `rows` were read in the `seconds` since the epoch began."""
        steps_left = n_steps - self.state.steps_done
        self.report_progress(
            {
                "stage": stage.name,
                "epoch": self.state.epoch + 1,
                "step": self.state.steps_done,
                "steps": n_steps,
                "loss": round(self.curve[-1], 4),
                "examples_per_second": round(rows / seconds, 1),
                "seconds_left": round(steps_left * stage.batch_size * seconds / rows, 1),
            }
        )

    def _diverged(self, reason: str, place_of_numbers: str) -> DivergedError:
        step = None if self.checkpoints is None else self.checkpoints.last_step()
        kept = "" if step is None else f"; the checkpoint of step {step} is kept"
        return DivergedError(
            f"training: {reason}{kept}. Lower training.encoder_lr and training.head_lr, or look "
            f"for broken numbers{place_of_numbers}"
        )

    def _check_rows(self, train: Loader) -> None:
        """Raise InputError unless the processes have together read all rows that were written."""
        read = self.process_group.sum(torch.tensor([float(train.rows_read)], dtype=torch.float64))
        if int(read) != train.rows:
            raise InputError(
                f"{train.folder}: {int(read):,} rows read of {train.rows:,} written; the snapshot "
                "is not complete: train again, and leave the work folder alone meanwhile"
            )

    def _write_checkpoint(self, optimizer: Optimizer) -> None:
        """Write a checkpoint in process 0; all processes hold the same tensors."""
        if self.checkpoints is not None and self.process_group.rank == 0:
            tensors = collect_tensors(self.model, optimizer, self._best)
            self.checkpoints.write(self.state, tensors)


def _copy_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
