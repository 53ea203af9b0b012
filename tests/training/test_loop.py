"""The training loop alone, with batches in memory: no Spark, Petastorm or Horovod."""

from dataclasses import replace
from functools import partialmethod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import AdamW

from profile_lib.errors import DivergedError, InputError
from profile_lib.model.encoder import ProfileModel
from profile_lib.spark.prefetch import Prefetcher
from profile_lib.training.adapters import apply_tuning
from profile_lib.training.checkpoints import Checkpoints
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.loop import TrainingLoop
from profile_lib.training.objectives.supervised import SupervisedObjective
from profile_lib.training.plan import Stage, Tuning
from profile_lib.training.step import StepDivergedError, StepRunner
from tests.worlds import tiny_plan, tiny_spec

SPEC = tiny_spec()
PLAN = tiny_plan(numeric_epochs=2, tuning=Tuning("top", top_layers=1))
TEXT = Stage("text", True, 1, 4, 1.0)


class MemoryLoader:
    """Yield eight rows in two batches; the label of `buys` equals the number."""

    folder, rows, rows_read = "memory", 8, 8

    def __init__(self, label: float = 1.0, weight: float = 1.0):
        self.label, self.weight = label, weight

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        return self.rows

    def batches(self, size, seed, *, with_text, negative_downsampling_rate=1.0):
        for number in range(2):
            labels = np.array([[0], [1], [0], [1]], np.float32)
            yield {
                **({"token_ids": np.full((4, 3), 5)} if with_text else {}),
                "n_tokens": np.full(4, 3),
                "numeric": labels.copy(),
                "labels": labels * self.label,
                "weight": np.full(4, self.weight, np.float32),
                "row_hash": 4 * number + np.arange(4),
            }


class Interrupted(Exception):
    """Stand for an interruption in the middle of a run."""


def make_loop(plan=PLAN, report_progress=lambda entry: None, checkpoints=None) -> TrainingLoop:
    torch.manual_seed(0)
    model = ProfileModel(SPEC)
    apply_tuning(model, plan.tuning, 2 * plan.epochs)
    objective = SupervisedObjective(SPEC.tasks, (1.0,), plan, None)
    return TrainingLoop(
        model, objective, plan, SingleProcess(), torch.device("cpu"), report_progress, checkpoints
    )


def fit_with_losses(source, losses, plan=PLAN):
    """Train with these validation losses; return the loop, epochs, progress and weights."""
    entries, losses_left, states = [], iter(losses), []
    loop = make_loop(plan, entries.append)

    def validate(with_text: bool) -> dict[str, float]:
        states.append({k: v.clone() for k, v in loop.model.state_dict().items()})
        return {"loss": next(losses_left)}

    return loop, loop.fit(source, validate), entries, states


def same_weights(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_each_stage_ends_at_its_best_epoch():
    plan = replace(PLAN, epochs=3)
    loop, epochs, _, states = fit_with_losses(MemoryLoader(), [0.5, 0.7, 0.9, 0.2, 0.3], plan)
    assert [(e["stage"], e["epoch"]) for e in epochs] == [
        ("numbers", 1), ("numbers", 2), ("text", 1), ("text", 2), ("text", 3)
    ]  # fmt: skip
    assert same_weights(loop.model.state_dict(), states[3])
    assert not same_weights(loop.model.state_dict(), states[4])


def test_a_stage_without_a_better_epoch_ends_after_its_patience():
    plan = replace(PLAN, numeric_epochs=5, epochs=4, patience=2)
    _, epochs, _, _ = fit_with_losses(MemoryLoader(), [0.5, 0.6, 0.7, 0.9, 0.8, 0.8, 0.8], plan)
    assert [(e["stage"], e["epoch"]) for e in epochs] == [
        ("numbers", 1), ("numbers", 2), ("numbers", 3),
        ("text", 1), ("text", 2), ("text", 3), ("text", 4),
    ]  # fmt: skip


def test_the_loss_falls_and_progress_is_reported():
    loop, _, entries, _ = fit_with_losses(MemoryLoader(), [0.5, 0.4, 0.3])
    assert len(loop.curve) == 6
    assert loop.curve[3] < loop.curve[0]
    steps = [entry for entry in entries if "step" in entry]
    assert [(e["stage"], e["step"], e["steps"]) for e in steps] == [
        ("numbers", 2, 4), ("numbers", 4, 4), ("text", 2, 2)
    ]  # fmt: skip
    assert steps[0]["loss"] == round(loop.curve[1], 4)


def test_frozen_layers_stay_and_the_tuned_layer_changes():
    before = make_loop().model.state_dict()
    _, _, _, states = fit_with_losses(MemoryLoader(), [0.5, 0.4, 0.3])
    moved = {name for name in before if not torch.equal(before[name], states[2][name])}
    assert not any(n.startswith(("bert.embeddings", "bert.encoder.layer.0")) for n in moved)
    assert any(n.startswith("bert.encoder.layer.1") for n in moved)
    numbers = [n for n in before if n.startswith("numbers.")]
    assert all(torch.equal(states[1][n], states[2][n]) for n in numbers)  # numbers_lr is 0


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_accumulating_a_batch_in_parts_gives_the_same_loss_curve(parts):
    unsplit, *_ = fit_with_losses(MemoryLoader(), [0.5, 0.4, 0.3])
    plan = replace(PLAN, accumulation=parts)
    without_dropout = tiny_spec(dropout=0.0)
    curves = []
    for each_plan in (PLAN, plan):
        loop = make_loop(each_plan)
        torch.manual_seed(0)
        loop.model = ProfileModel(without_dropout).eval()
        for part in loop.model.modules():
            part.train = lambda mode=True, part=part: (
                part
            )  # no dropout: each part would draw another mask
        loop.fit(MemoryLoader(), lambda with_text: {"loss": 0.5})
        curves.append(loop.curve)
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-6)
    assert len(unsplit.curve) == len(curves[1])


class Stopping(Checkpoints):
    """Interrupt the run after as many checkpoints as `checkpoints_left` says."""

    checkpoints_left = 0

    def write(self, state, tensors):
        super().write(state, tensors)
        self.checkpoints_left -= 1
        if self.checkpoints_left == 0:
            raise Interrupted


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 9), st.sampled_from(["top", "all", "lora", "adalora", "prefix", "ia3"]))
def test_an_interrupted_and_resumed_run_ends_as_an_uninterrupted_one(
    tmp_path_factory, stop_after, method
):
    tuning = Tuning(method, top_layers=1, rank=2, prefix_tokens=2)
    plan = replace(PLAN, epochs=2, checkpoint_steps=1, tuning=tuning)
    losses = {("numbers", 1): 0.5, ("numbers", 2): 0.6, ("text", 1): 0.3, ("text", 2): 0.2}

    def validator(loop: TrainingLoop):
        def validate(with_text: bool) -> dict[str, float]:
            stage = "text" if with_text else "numbers"
            return {"loss": losses[stage, loop.state.epoch + 1]}

        return validate

    uninterrupted = make_loop(plan)
    uninterrupted.fit(MemoryLoader(), validator(uninterrupted))
    path = str(tmp_path_factory.mktemp("checkpoints"))
    stopping = Stopping(path, {"seed": 1})
    stopping.checkpoints_left = stop_after
    first = make_loop(plan, checkpoints=stopping)
    with pytest.raises(Interrupted):
        first.fit(MemoryLoader(), validator(first))
    resumed = make_loop(plan, checkpoints=Checkpoints(path, {"seed": 1}))
    epochs = resumed.fit(MemoryLoader(), validator(resumed), resume=True)
    assert resumed.curve == uninterrupted.curve
    assert same_weights(resumed.model.state_dict(), uninterrupted.model.state_dict())
    assert [(e["stage"], e["epoch"]) for e in epochs] == list(losses)


class DivergingLoader(MemoryLoader):
    """Yield a second batch whose loss is not a number."""

    def batches(self, *args, **kwargs):
        good, bad = super().batches(*args, **kwargs)
        yield good
        yield {**bad, "weight": bad["weight"] * np.nan}


def test_a_nan_loss_is_reported_with_its_rows_and_the_last_checkpoint_is_kept(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), {})
    diverging = make_loop(replace(PLAN, checkpoint_steps=1), checkpoints=checkpoints)
    message = (
        r"the loss is nan at numbers, epoch 1, batch 2 \(rows of hash 4, 5, 6, …\); "
        "the checkpoint of step 1 is kept"
    )
    with pytest.raises(DivergedError, match=message):
        diverging.fit(DivergingLoader(), lambda with_text: {"loss": 0.5})
    good = make_loop(replace(PLAN, checkpoint_steps=1), checkpoints=checkpoints)
    good.fit(MemoryLoader(), lambda with_text: {"loss": 0.5}, resume=True)
    uninterrupted = make_loop()
    uninterrupted.fit(MemoryLoader(), lambda with_text: {"loss": 0.5})
    assert good.curve == uninterrupted.curve


def test_a_gradient_that_is_not_finite_changes_no_weight():
    model, objective = ProfileModel(SPEC), SupervisedObjective(SPEC.tasks, (1.0,), PLAN, None)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    linear = model.heads.tasks["buys"].wide
    linear.weight.register_hook(lambda gradient: gradient * np.inf)
    stage = objective.stages[0]
    optimizer = AdamW(list(objective.parameter_groups(model, stage)))
    cpu = torch.device("cpu")
    steps = StepRunner(model, objective, PLAN, stage, SingleProcess(), cpu, optimizer)
    batches = Prefetcher(MemoryLoader().batches(4, (), with_text=False))
    with pytest.raises(StepDivergedError, match=r"gradient's norm is (inf|nan)") as error:
        next(steps.run(batches, 0))
    assert error.value.row_hashes == [0, 1, 2]
    assert same_weights(before, model.state_dict())


def test_a_validation_loss_that_is_not_a_number_is_refused():
    with pytest.raises(DivergedError, match="the loss is nan in validation at numbers, epoch 2"):
        fit_with_losses(MemoryLoader(), [0.5, np.nan])


@pytest.mark.slow
def test_a_compiled_encoder_has_the_loss_curve_of_an_uncompiled_one(monkeypatch):
    """Trace as for the default backend, but skip its C++, which takes long to build."""
    traced = partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    plan = replace(PLAN, numeric_epochs=0)
    curves = []
    for is_compiled in (False, True):
        loop = make_loop(replace(plan, compile=is_compiled))
        for module in loop.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # compiled dropout draws another mask
        loop.fit(MemoryLoader(), lambda with_text: {"loss": 0.5})
        assert (loop.model.bert._compiled_call_impl is not None) == is_compiled
        curves.append(loop.curve)
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-5)


def test_a_label_outside_the_range_of_its_task_is_refused():
    with pytest.raises(InputError, match="a label of buys is 7 in the row of hash 1; .* 0 to 1"):
        fit_with_losses(MemoryLoader(label=7.0), [])


def test_missing_rows_are_refused():
    source = MemoryLoader()
    source.rows = 9
    with pytest.raises(InputError, match="memory: 8 rows read of 9 written"):
        fit_with_losses(source, [])


def test_numbers_heads_and_each_encoder_layer_have_their_own_learning_rate():
    plan = replace(PLAN, tuning=Tuning(), layer_decay=0.5, numbers_lr=1e-4, weight_decay=0.1)
    model = ProfileModel(SPEC)
    groups = list(SupervisedObjective(SPEC.tasks, (1.0,), plan, None).parameter_groups(model, TEXT))
    rate_of = {id(p): g["peak_lr"] for g in groups for p in g["params"]}
    rates = {name: rate_of[id(p)] for name, p in model.named_parameters()}
    assert rates["heads.tasks.buys.deep.1.weight"] == 1e-2
    assert rates["numbers.deep.0.weight"] == 1e-4
    assert rates["bert.encoder.layer.1.output.dense.weight"] == 1e-3
    assert rates["bert.encoder.layer.0.output.dense.weight"] == 5e-4
    assert rates["bert.embeddings.word_embeddings.weight"] == 2.5e-4
    assert len(rate_of) == len(rates)
    decayed = {id(p) for g in groups if g["weight_decay"] == 0.1 for p in g["params"]}
    assert all((id(p) in decayed) == (p.dim() > 1) for p in model.parameters())


def test_more_layers_than_the_encoder_has_cannot_be_tuned():
    with pytest.raises(InputError, match="top_layers: 3, but the encoder has 2 layers"):
        apply_tuning(ProfileModel(SPEC), Tuning("top", top_layers=3), 1)
