"""A student's losses match numpy, and its teacher stays unchanged."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from profile_lib.errors import InputError
from profile_lib.model.encoder import ProfileModel
from profile_lib.model.shrinking import build_student
from profile_lib.model.tasks import CategorySpec, TaskSpec
from profile_lib.training.data.batches import Batch, split_batch
from profile_lib.training.data.snapshot import Snapshot
from profile_lib.training.distributed.process_group import SingleProcess
from profile_lib.training.loop import TrainingLoop
from profile_lib.training.objectives.distillation import (
    DistillationObjective,
    DistillationOptions,
    use_teacher_tasks,
)
from profile_lib.training.objectives.losses import soft_target_loss_sums
from tests.worlds import tiny_plan, tiny_spec

TASKS = (
    TaskSpec(name="buys", kind="binary"),
    TaskSpec(name="next", kind="multiclass", classes=("red", "green", "blue")),
    TaskSpec(name="seeks", kind="multilabel", classes=("red", "green")),
    TaskSpec(name="spend", kind="regression", center=10.0, scale=5.0),
)
PLAN = tiny_plan(epochs=3, numeric_epochs=2, encoder_lr=1e-2, numbers_lr=1e-2)
NAN = float("nan")


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def cross_entropy(logits: np.ndarray, target_logits: np.ndarray) -> np.ndarray:
    p, q = sigmoid(logits), sigmoid(target_logits)
    return -(q * np.log(p) + (1 - q) * np.log(1 - p))


def test_losses_of_soft_targets_use_the_temperature_and_the_weight_of_each_row():
    rng = np.random.default_rng(0)
    shapes = {"buys": (3,), "next": (3, 3), "seeks": (3, 2), "spend": (3,)}
    student_logits, teacher_logits = (
        {name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(2)
    )
    weight, t = np.array([1.0, 4.0, 0.0]), 2.0
    actual = soft_target_loss_sums(
        TASKS,
        {n: torch.tensor(x) for n, x in student_logits.items()},
        {n: torch.tensor(x) for n, x in teacher_logits.items()},
        torch.tensor(weight),
        t,
    )
    p, q = softmax(student_logits["next"] / t), softmax(teacher_logits["next"] / t)
    expected = [
        t**2 * cross_entropy(student_logits["buys"] / t, teacher_logits["buys"] / t),
        t**2 * (q * np.log(q / p)).sum(axis=1),
        t**2 * cross_entropy(student_logits["seeks"] / t, teacher_logits["seeks"] / t).sum(axis=1),
        (student_logits["spend"] - teacher_logits["spend"]) ** 2,
    ]
    np.testing.assert_allclose(actual.numpy(), [(x * weight).sum() for x in expected], rtol=1e-5)


def build_teacher_and_objective(
    seed: int = 0, **changes
) -> tuple[ProfileModel, DistillationObjective]:
    """Build a random teacher and the objective of its students."""
    torch.manual_seed(seed)
    teacher = ProfileModel(tiny_spec(tasks=TASKS, dropout=0.0))
    with torch.no_grad():
        for p in teacher.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    options = replace(DistillationOptions(0.5, 2.0, 3.0, 2.0), **changes)
    weights = (1.0, 0.5, 0.2, 0.1)
    return teacher, DistillationObjective(TASKS, weights, PLAN, None, teacher, options)


def make_batch() -> Batch:
    rng = np.random.default_rng(5)
    labels = [[1, 2, 1, 0, 15.0], [0, NAN, NAN, NAN, NAN], [NAN, 0, 0, 1, 5.0], [0, 1, 1, 1, NAN]]
    return {
        "token_ids": rng.integers(4, 10, (4, 5)),
        "n_tokens": np.array([5, 4, 3, 2]),
        "numeric": rng.normal(size=(4, 1)).astype(np.float32),
        "labels": np.array(labels, np.float32),
        "weight": np.array([1, 2, 3, 4], np.float32),
        "row_hash": np.arange(4),
    }


def batch_tensors() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(column) for name, column in make_batch().items()}


def test_each_part_of_the_loss_is_a_mean_over_the_rows_that_have_it():
    _, objective = build_teacher_and_objective()
    expected = [0.5, 0.25, 0.1, 0.05, 2.0, 1.0, 0.4, 0.2, 3.0]
    assert objective.weights == pytest.approx(expected)
    label_sums, teacher_sums = [7.0, 8.0, 16.0, 4.0], [10.0, 10.0, 20.0, 10.0]
    assert objective.weight_sums(batch_tensors()).tolist() == [*label_sums, *teacher_sums, 10.0]
    assert [(s.name, s.with_text, s.epochs) for s in objective.stages] == [("distil", True, 3)]


def test_sums_over_the_parts_of_a_batch_equal_those_of_the_whole_batch():
    teacher, objective = build_teacher_and_objective()
    student, (stage,) = build_student(teacher, 1), objective.stages
    parts = [
        {name: torch.from_numpy(column) for name, column in part.items()}
        for part in split_batch(make_batch(), 2)
    ]
    whole_batch, in_parts = (
        sum(objective.loss_sums(student, part, stage) for part in each)
        for each in ([batch_tensors()], parts)
    )
    torch.testing.assert_close(in_parts, whole_batch)
    assert (
        sum(objective.weight_sums(part) for part in parts).tolist()
        == objective.weight_sums(batch_tensors()).tolist()
    )


def test_a_copy_of_the_teacher_has_no_distillation_loss_and_a_student_has():
    teacher, objective = build_teacher_and_objective(labels_weight=0.0)
    for model, is_copy in ((teacher, True), (build_student(teacher, 1), False)):
        model.requires_grad_(True)
        (stage,) = objective.stages
        sums = objective.loss_sums(model.eval(), batch_tensors(), stage)
        assert (sums[5].item() < 1e-6, sums[8].item() < 1e-5) == (is_copy, is_copy)
        (torch.tensor(objective.weights) * sums).sum().backward()
        gradient_norms = [float(p.grad.norm()) for p in model.parameters() if p.grad is not None]
        assert (max(gradient_norms) < 1e-4) == is_copy
        objective.teacher.requires_grad_(False)


class MemoryLoader:
    """Yield the same batch of four rows twice per pass."""

    folder, rows, rows_read = "memory", 8, 8

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        return self.rows

    def batches(self, size, seed, *, with_text, negative_downsampling_rate=1.0):
        yield from (make_batch(), make_batch())


def test_training_moves_a_student_towards_its_teacher_and_leaves_the_teacher_unchanged():
    teacher, objective = build_teacher_and_objective()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    entries, states = [], []
    loop = TrainingLoop(
        build_student(teacher, 1).requires_grad_(True), objective, PLAN, SingleProcess(),
        torch.device("cpu"), entries.append,
    )  # fmt: skip

    def validate(with_text: bool) -> dict[str, float]:
        states.append({k: v.clone() for k, v in loop.model.state_dict().items()})
        return {"loss": -float(loop.state.epoch)}

    loop.fit(MemoryLoader(), validate)
    assert loop.curve[-1] < 0.9 * loop.curve[0]
    assert all(torch.equal(before[name], x) for name, x in teacher.state_dict().items())
    assert not teacher.training
    moved = [name for name in states[0] if not torch.equal(states[0][name], states[-1][name])]
    assert any(name.startswith("bert.embeddings") for name in moved)
    assert any(name.startswith("heads.tasks.spend") for name in moved)


def snapshot(**changes) -> Snapshot:
    fields = {"tasks": TASKS, "categories": (), "max_tokens": 8} | changes
    return Snapshot(folder="there", rows={}, positives=0, files={}, **fields)


def test_a_snapshot_gets_the_regression_scale_of_the_teacher():
    scaled = (*TASKS[:3], TaskSpec(name="spend", kind="regression", center=9.0, scale=4.0))
    adapted = use_teacher_tasks(snapshot(tasks=scaled), tiny_spec(tasks=TASKS), ["n"])
    assert adapted.tasks == TASKS


@pytest.mark.parametrize(
    ("changes", "numeric", "message"),
    [
        ({"tasks": TASKS[:2]}, ["n"], "examples: tasks are not those that the teacher was"),
        ({}, ["n", "m"], "numbers are not"),
        ({"categories": (CategorySpec(name="device", values=("app",)),)}, ["n"], "categories are"),
        ({"max_tokens": 9}, ["n"], r"lengths \(9 tokens, not 8\) are not"),
    ],
)
def test_examples_unlike_those_of_the_teacher_are_refused(changes, numeric, message):
    known = (CategorySpec(name="device", values=("app", "desktop")),)
    teacher = tiny_spec(tasks=TASKS, categories=known if "categories" in changes else ())
    with pytest.raises(InputError, match=message):
        use_teacher_tasks(snapshot(**changes), teacher, numeric)
