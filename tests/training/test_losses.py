"""Losses are sums over known labels, to be divided over the global batch."""

import pytest
import torch
from torch.nn import functional as F

from profile_lib.model.encoder import TaskSpec
from profile_lib.training.losses import loss_sums, loss_weights

TASKS = (
    TaskSpec(name="buys", kind="binary", classes=()),
    TaskSpec(name="next", kind="multiclass", classes=("red", "green", "blue")),
)
LABELS = torch.tensor([[1, 2], [0, -1], [-1, 0]])
WEIGHT = torch.tensor([1.0, 4.0, 2.0])
LOGITS = {"buys": torch.tensor([0.3, -1.0, 5.0]), "next": torch.randn(3, 3)}


def test_unknown_labels_and_their_weights_are_left_out():
    assert loss_weights(LABELS, WEIGHT).tolist() == [5.0, 3.0]
    buys, following = loss_sums(TASKS, LOGITS, LABELS, WEIGHT)
    binary = F.binary_cross_entropy_with_logits
    one, two = (
        binary(torch.tensor(0.3), torch.tensor(1.0)),
        binary(torch.tensor(-1.0), torch.zeros(())),
    )
    assert float(buys) == pytest.approx(float(one + 4 * two))
    logp = F.log_softmax(LOGITS["next"], dim=1)
    assert float(following) == pytest.approx(float(-logp[0, 2] - 2 * logp[2, 0]))


def test_the_parts_of_a_batch_add_up_to_the_whole():
    parts = [slice(0, 1), slice(1, 3)]
    whole = loss_sums(TASKS, LOGITS, LABELS, WEIGHT)
    split = [
        loss_sums(TASKS, {k: v[p] for k, v in LOGITS.items()}, LABELS[p], WEIGHT[p]) for p in parts
    ]
    torch.testing.assert_close(whole, sum(split))


def test_a_task_without_a_known_label_is_zero_and_still_has_gradients():
    logits = {name: value.clone().requires_grad_() for name, value in LOGITS.items()}
    loss_sums(TASKS, logits, torch.full((3, 2), -1), WEIGHT).sum().backward()
    assert logits["buys"].grad.abs().sum() == 0
