"""Describe a training as parameters, losses and metrics, in the form that trackers store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingRecord:
    """The parameters and results of one training of the model `name`."""

    name: str
    parameters: Mapping[str, Any]  # settings, by keys joined by dots
    curve: Sequence[float]  # the loss of every step
    epoch_metrics: Sequence[Mapping[str, float]]  # per epoch: `validation.` and the metric's name
    test_metrics: Mapping[str, float]  # `test.`, task, `.` and the metric's name

    @classmethod
    def build(
        cls,
        name: str,
        settings: Mapping[str, Any],
        epochs: Sequence[Mapping[str, Any]],
        curve: Sequence[float],
        report: Mapping[str, Any],
    ) -> "TrainingRecord":
        """Flatten the settings, the validation metrics of `epochs`, and the model's test metrics.

        `report` is the content of report.json. Metrics that the test rows do not determine are left
        out.
        """
        epoch_metrics = [
            {f"validation.{k}": v for k, v in epoch["validation"].items()} for epoch in epochs
        ]
        by_task = {task: entry.get("model", {}) for task, entry in report["tasks"].items()}
        test_metrics = {f"test.{k}": v for k, v in flatten(by_task).items() if v is not None}
        return cls(name, flatten(settings), curve, epoch_metrics, test_metrics)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings; keys are joined by dots.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
