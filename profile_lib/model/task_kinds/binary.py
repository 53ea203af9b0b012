"""Define tasks whose label is 0 or 1."""

from typing import TYPE_CHECKING, Any

import numpy as np

from profile_lib.errors import InputError
from profile_lib.metrics import classification as metrics
from profile_lib.model.task_kinds.class_labels import describe_counts
from profile_lib.model.task_kinds.cross_entropy import CrossEntropyTask
from profile_lib.model.task_kinds.kind import (
    BaselineInputs,
    LabelStatistics,
    Metrics,
    register_task_kind,
)
from profile_lib.model.tasks import TaskSpec

if TYPE_CHECKING:
    from pyspark.sql import Column

N_CALIBRATION_BINS = 10


@register_task_kind("binary")
class BinaryTask(CrossEntropyTask):
    """The label is 0 or 1; the prediction is the probability of 1."""

    is_binary = True
    lower_is_better = frozenset({"log_loss", "brier", "calibration_error"})
    profile_column = "propensities"

    def fit(self, name: str, label: str, statistics: LabelStatistics) -> TaskSpec:
        """Return the task. Raises InputError unless train has both labels and no other occurs."""
        counts = statistics.counts or {}
        message = describe_counts(name, label, counts)
        if not {"0", "1"} >= set(counts):
            raise InputError(
                f"{message}; a binary task's are 0 and 1: fix the label, or make it multiclass"
            )
        if not all(counts.get(value) for value in ("0", "1")):
            raise InputError(
                f"{message}; wanted both 0 and 1: give more days, a longer "
                "examples.horizon_hours, or another split"
            )
        return TaskSpec(name=name, kind=self.name)

    def to_columns(
        self, task: TaskSpec, predictions: np.ndarray, labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the columns label and probability."""
        return {
            "label": labels[:, 0].astype(np.int64),
            "probability": predictions.astype(np.float64),
        }

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None
    ) -> Metrics:
        """Return areas under the curves, log loss and Brier score."""
        return {
            "roc_auc": metrics.roc_auc(labels, predictions, weight),
            "pr_auc": metrics.pr_auc(labels, predictions, weight),
            "log_loss": metrics.log_loss(labels, predictions, weight),
            "brier": metrics.brier(labels, predictions, weight),
        }

    def compute_biased_metrics(self, labels: np.ndarray, predictions: np.ndarray) -> Metrics:
        """Return the calibration error, and the slope and intercept of a calibration line."""
        line = metrics.calibration_slope_and_intercept(labels, predictions)
        slope, intercept = (None, None) if line is None else line
        return {
            "calibration_error": metrics.calibration_error(labels, predictions, N_CALIBRATION_BINS),
            "calibration_slope": slope,
            "calibration_intercept": intercept,
        }

    def baselines(self, task: TaskSpec, inputs: BaselineInputs) -> dict[str, np.ndarray]:
        """Return the classifiers that were fitted to the numbers."""
        return dict(inputs.classifiers)

    def details(self, labels: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Return calibration bins and the classification report.

        The report is at the observed positive rate.

        As many rows are called positive as there are positives: at a threshold of a half, a rare
        event would never be called.
        """
        from sklearn.metrics import classification_report

        n_called = int((labels == 1).sum())
        called = np.zeros(len(labels), int)
        called[np.argsort(-predictions, kind="stable")[:n_called]] = 1
        return {
            "calibration": metrics.calibration_bins(labels, predictions, N_CALIBRATION_BINS),
            "classification_report": classification_report(
                labels, called, labels=[0, 1], output_dict=True, zero_division=0.0
            ),
        }

    def to_profile_value(self, task: TaskSpec, outputs: "Column") -> "Column":
        """Return the probability."""
        return outputs[0]
