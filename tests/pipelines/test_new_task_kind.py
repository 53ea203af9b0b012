"""A new kind of prediction task is one file with one decorated class."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from profile_lib.errors import InputError
from profile_lib.model.checkpoint import load_model
from profile_lib.model.task_kinds import TaskKind, get_task_kind, register_task_kind
from profile_lib.model.task_kinds.kind import TASK_KINDS
from profile_lib.pipelines import train_model
from profile_lib.pipelines.serving_model import predicted_task
from profile_lib.training.data.task_labels import LabelledTask

COUNT_TASK = '''
"""Define tasks whose label is a count."""

import numpy as np
from torch.nn import functional

from profile_lib.model.task_kinds import register_task_kind
from profile_lib.model.task_kinds.regression import RegressionTask


@register_task_kind("count")
class CountTask(RegressionTask):
    """The label is a count; the head learns the logarithm of its mean (Poisson regression)."""

    headline_metrics = quality_metrics = ("deviance",)
    lower_is_better = frozenset({"deviance"})

    def loss(self, task, logits, labels, smoothing):
        return functional.poisson_nll_loss(logits.unsqueeze(1), labels, reduction="none")

    def validation_loss(self, task, columns):
        return float(np.mean(columns["value"] - columns["label"] * np.log(columns["value"])))

    def to_predictions(self, task, logits):
        return logits.exp()

    def compute_metrics(self, labels, predictions, weight=None):
        surprise = np.where(labels > 0, labels * np.log(np.maximum(labels, 1) / predictions), 0.0)
        deviance = 2 * (surprise - labels + predictions)
        return {"deviance": float(np.average(deviance, weights=weight))}
'''
TASK = {"name": "goods", "label": "spend / 3", "kind": "count", "weight": 1.0}


@pytest.fixture
def count_kind(tmp_path, monkeypatch):
    """The kind `count`, registered by importing a module that was not there before."""
    (tmp_path / "count_task.py").write_text(COUNT_TASK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(TASK_KINDS, "by_name", TASK_KINDS.all())
    importlib.import_module("count_task")
    yield get_task_kind("count")
    del sys.modules["count_task"]


def test_a_model_trains_predicts_and_reports_a_task_of_a_new_kind(
    colours, colour_settings, count_kind
):
    settings = colour_settings("training.name=counting", f"model.tasks=[{TASK}]")
    train_model.run(colours, settings)
    folder = Path(settings.paths.models) / "counting"

    epochs = json.loads((folder / "training.json").read_text())["epochs"]
    losses = [epoch["validation"]["goods"] for epoch in epochs if epoch["stage"] == "text"]
    assert losses[-1] < losses[0]

    entry = json.loads((folder / "report.json").read_text())["tasks"]["goods"]
    assert entry["kind"] == "count"
    assert entry["model"]["deviance"] < 0.9 * entry["mean_of_train"]["deviance"]
    assert entry["intervals"]["model less mean_of_train"]["deviance"][1] < 0

    _, spec, _ = load_model(str(folder))
    (task,) = spec.tasks
    assert task.to_predictions(torch.tensor([-5.0, 0.0])).tolist()[1] == 1.0
    assert predicted_task(task).column == "predicted_values"


def test_a_kind_that_is_not_registered_is_refused_before_anything_is_computed():
    with pytest.raises(
        InputError,
        match="kind: found count; wanted one of binary, multiclass, multilabel, regression",
    ):
        LabelledTask("goods", "spend / 3", "count", 1.0)


def test_a_second_class_for_a_registered_kind_is_refused():
    with pytest.raises(ValueError, match="kind: binary is registered twice, as .*BinaryTask and"):
        register_task_kind("binary")(type("Other", (TaskKind,), {}))
