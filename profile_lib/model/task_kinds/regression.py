"""Define tasks whose label is a number."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from profile_lib.errors import InputError
from profile_lib.metrics import classification as metrics
from profile_lib.model.task_kinds.kind import (
    BaselineInputs,
    LabelStatistics,
    Metrics,
    TaskKind,
    register_task_kind,
)
from profile_lib.model.tasks import TaskSpec

if TYPE_CHECKING:
    from pyspark.sql import Column
    from torch import Tensor


@register_task_kind("regression")
class RegressionTask(TaskKind):
    """The label is a number, which the head learns standardised."""

    counts_labels = False
    measured_column = "value"
    headline_metrics = ("rmse", "mae")
    quality_metrics = ("rmse",)
    lower_is_better = frozenset({"rmse", "mae"})
    profile_column = "predicted_values"

    def fit(self, name: str, label: str, statistics: LabelStatistics) -> TaskSpec:
        """Return the task with its scale. Raises InputError unless train's labels differ."""
        center, scale = statistics.moments
        if center is None or not scale or not math.isfinite(scale):
            raise InputError(
                f"examples: labels of {name} ({label}) in train: mean {center}, deviation "
                f"{scale}; wanted finite numbers that differ: fix the label, or take the task out "
                "of model.tasks"
            )
        return TaskSpec(name=name, kind=self.name, center=center, scale=scale)

    def loss(
        self, task: TaskSpec, logits: "Tensor", labels: "Tensor", smoothing: float
    ) -> "Tensor":
        """Return the squared error of the standardised label."""
        return (logits.unsqueeze(1) - (labels - task.center) / task.scale) ** 2

    def validation_loss(self, task: TaskSpec, columns: Mapping[str, np.ndarray]) -> float:
        """Return the mean squared error of the standardised label."""
        return metrics.rmse(columns["label"], columns["value"]) ** 2 / task.scale**2

    def to_predictions(self, task: TaskSpec, logits: "Tensor") -> "Tensor":
        """Return the value in the label's unit."""
        return logits * task.scale + task.center

    def to_columns(
        self, task: TaskSpec, predictions: np.ndarray, labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the columns label and value."""
        return {
            "label": labels[:, 0].astype(np.float64),
            "value": predictions.astype(np.float64),
        }

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None
    ) -> Metrics:
        """Return root mean squared and mean absolute error."""
        return {
            "rmse": metrics.rmse(labels, predictions, weight),
            "mae": metrics.mae(labels, predictions, weight),
        }

    def baselines(self, task: TaskSpec, inputs: BaselineInputs) -> dict[str, np.ndarray]:
        """Return the mean of the train labels."""
        return {"mean_of_train": np.full(len(inputs.labels), task.center)}

    def to_profile_value(self, task: TaskSpec, outputs: "Column") -> "Column":
        """Return the value."""
        return outputs[0]
