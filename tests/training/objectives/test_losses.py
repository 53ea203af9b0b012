"""Losses are sums over known labels, to be divided over the global batch."""

import math

import pytest
import torch
from torch.nn import functional as F

from profile_lib.model.tasks import TaskSpec
from profile_lib.training.objectives.losses import known_label_weights, loss_sums

TASKS = (
    TaskSpec(name="buys", kind="binary", classes=()),
    TaskSpec(name="next", kind="multiclass", classes=("red", "green", "blue")),
)
NAN = math.nan
LABELS = torch.tensor([[1, 2], [0, NAN], [NAN, 0]])
WEIGHT = torch.tensor([1.0, 4.0, 2.0])
LOGITS = {"buys": torch.tensor([0.3, -1.0, 5.0]), "next": torch.randn(3, 3)}


def test_unknown_labels_and_their_weights_are_left_out():
    assert known_label_weights(TASKS, LABELS, WEIGHT).tolist() == [5.0, 3.0]
    buys, following = loss_sums(TASKS, LOGITS, LABELS, WEIGHT)
    binary = F.binary_cross_entropy_with_logits
    one, two = (
        binary(torch.tensor(0.3), torch.tensor(1.0)),
        binary(torch.tensor(-1.0), torch.zeros(())),
    )
    assert float(buys) == pytest.approx(float(one + 4 * two))
    logp = F.log_softmax(LOGITS["next"], dim=1)
    assert float(following) == pytest.approx(float(-logp[0, 2] - 2 * logp[2, 0]))


def test_the_losses_of_the_parts_of_a_batch_add_up_to_that_of_the_batch():
    parts = [slice(0, 1), slice(1, 3)]
    whole = loss_sums(TASKS, LOGITS, LABELS, WEIGHT)
    split = [
        loss_sums(TASKS, {k: v[p] for k, v in LOGITS.items()}, LABELS[p], WEIGHT[p]) for p in parts
    ]
    torch.testing.assert_close(whole, sum(split))


def test_a_task_without_a_known_label_has_gradients_of_zero():
    logits = {name: value.clone().requires_grad_() for name, value in LOGITS.items()}
    loss_sums(TASKS, logits, torch.full((3, 2), NAN), WEIGHT).sum().backward()
    assert logits["buys"].grad.abs().sum() == 0


def test_a_multilabel_task_is_a_binary_one_for_each_class():
    task = TaskSpec(name="likes", kind="multilabel", classes=("red", "blue"))
    logits, labels = torch.tensor([[0.5, -2.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [NAN, NAN]])
    expected = F.binary_cross_entropy_with_logits(logits[0], labels[0], reduction="sum")
    loss_sum = loss_sums((task,), {"likes": logits}, labels, torch.tensor([3.0, 1.0]))
    assert float(loss_sum) == pytest.approx(3 * float(expected))
    assert known_label_weights((task,), labels, torch.tensor([3.0, 1.0])).tolist() == [6.0]


def test_a_regression_is_the_squared_error_of_the_standardised_label():
    task = TaskSpec(name="spend", kind="regression", center=10.0, scale=5.0)
    labels = torch.tensor([[20.0], [NAN]])
    loss_sum = loss_sums((task,), {"spend": torch.tensor([1.5, 9.0])}, labels, torch.ones(2))
    assert float(loss_sum) == pytest.approx((1.5 - 2.0) ** 2)
    assert task.to_predictions(torch.tensor([2.0])).tolist() == [20.0]


def test_label_smoothing_spreads_a_share_of_the_label_over_the_classes():
    sums = loss_sums(TASKS, LOGITS, LABELS, WEIGHT, smoothing=0.1)
    binary = F.binary_cross_entropy_with_logits
    buys = binary(LOGITS["buys"][:2], torch.tensor([0.95, 0.05]), reduction="none")
    assert float(sums[0]) == pytest.approx(float(buys[0] + 4 * buys[1]))
    smooth = F.cross_entropy(
        LOGITS["next"][[0, 2]], torch.tensor([2, 0]), reduction="none", label_smoothing=0.1
    )
    assert float(sums[1]) == pytest.approx(float(smooth[0] + 2 * smooth[1]))
