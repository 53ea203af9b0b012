"""Test that a head's importance is how much the loss depends on its output."""

import numpy as np
import pytest
import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.pruning import select_important_heads
from profile_lib.training.compression.head_importance import head_importance
from profile_lib.training.data.batches import Batch
from profile_lib.training.objectives.supervised import SupervisedObjective
from tests.training.test_loop import PLAN
from tests.worlds import tiny_spec

CPU = torch.device("cpu")


def random_model() -> ProfileModel:
    torch.manual_seed(0)
    model = ProfileModel(tiny_spec())
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.5)
    return model.eval()


def batch(*rows: int) -> Batch:
    rng = np.random.default_rng(1)
    drawn = {
        "token_ids": rng.integers(4, 10, (6, 5)),
        "n_tokens": np.array([5, 4, 3, 2, 5, 4]),
        "numeric": rng.normal(size=(6, 1)).astype(np.float32),
        "labels": np.array([[0], [1], [0], [1], [np.nan], [1]], np.float32),
        "weight": np.array([1, 1, 1, 2, 1, 3], np.float32),
        "row_hash": np.arange(6),
    }
    return {name: column[list(rows)] for name, column in drawn.items()}


def importances_of(model: ProfileModel, *batches: Batch) -> list[torch.Tensor]:
    objective = SupervisedObjective(model.spec.tasks, (1.0,), PLAN, None)
    return head_importance(model, objective, batches, CPU)


def test_a_head_without_output_has_no_importance():
    model = random_model()
    lower, upper = (layer.attention.output.dense.weight.data for layer in model.bert.encoder.layer)
    lower[:], upper[:, :4] = 0.0, 0.0
    importances = importances_of(model, batch(0, 1, 2, 3))
    assert importances[0].tolist() == [0.0, 0.0]
    assert importances[1][0] == 0.0 < importances[1][1]
    assert select_important_heads(importances, 0.25)[1] == (0, 1)
    assert select_important_heads(importances, 0.5)[1] == (1,)


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_importance_is_the_change_of_the_loss_by_a_small_scaling_of_the_head(layer, head):
    model = random_model().double()
    objective = SupervisedObjective(model.spec.tasks, (1.0,), PLAN, None)
    row = {**batch(3), "numeric": batch(3)["numeric"].astype(np.float64)}

    def loss(factor: float) -> float:
        columns = slice(4 * head, 4 * head + 4)
        weight = model.bert.encoder.layer[layer].attention.output.dense.weight
        before = weight.detach().clone()
        with torch.no_grad():
            weight[:, columns] *= factor
            tensors = {name: torch.from_numpy(x) for name, x in row.items()}
            sums = objective.loss_sums(model, tensors, objective.stages[-1])
            weight.copy_(before)
        return float(sums[0] / objective.weight_sums(tensors)[0])

    step = 1e-3
    expected = abs(loss(1 + step) - loss(1 - step)) / (2 * step)
    importances = importances_of(model, row)
    assert float(importances[layer][head]) == pytest.approx(expected, rel=1e-2, abs=1e-5)


def test_importance_adds_up_over_rows_and_batches_and_an_unknown_label_adds_nothing():
    together = importances_of(random_model(), batch(0, 1), batch(1, 2))
    batches = [importances_of(random_model(), batch(*rows)) for rows in ((0, 1), (1, 2))]
    for layer, importances in enumerate(together):
        torch.testing.assert_close(importances, batches[0][layer] + batches[1][layer])
    rows = [importances_of(random_model(), batch(row)) for row in (0, 1)]
    for layer, importances in enumerate(batches[0]):
        torch.testing.assert_close(importances, (rows[0][layer] + rows[1][layer]) / 2)
    unknown = importances_of(random_model(), batch(4))
    assert all(importances.sum() == 0 for importances in unknown)
