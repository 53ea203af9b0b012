"""Define tasks whose rows may have several labels."""

from typing import TYPE_CHECKING

import numpy as np

from profile_lib.metrics import classification as metrics
from profile_lib.model.task_kinds.class_labels import order_classes
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


@register_task_kind("multilabel")
class MultilabelTask(CrossEntropyTask):
    """Each class has a label of 0 or 1; predictions are their probabilities."""

    lower_is_better = frozenset({"log_loss"})
    profile_column = "predicted_labels"

    def fit(self, name: str, label: str, statistics: LabelStatistics) -> TaskSpec:
        """Return the task with its classes. Raises InputError if there are fewer than two."""
        classes = order_classes(name, label, statistics.counts or {})
        return TaskSpec(name=name, kind=self.name, classes=classes)

    def split_labels(self, label: "Column") -> "Column":
        """Return the label, which is an array."""
        return label

    def encode(self, task: TaskSpec, label: "Column") -> "Column":
        """Return whether the row has each class, NaN for all if the label is null."""
        from pyspark.sql import functions as F

        unknown = F.lit(np.nan).cast("float")
        has_class = [F.array_contains(label, F.lit(c)).cast("float") for c in task.classes]
        return F.array(*(F.coalesce(value, unknown) for value in has_class))

    def n_labels(self, task: TaskSpec) -> int:
        """Return the number of classes."""
        return len(task.classes)

    def to_columns(
        self, task: TaskSpec, predictions: np.ndarray, labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the columns label and probability, each (n, classes)."""
        return {"label": labels.astype(np.int64), "probability": predictions.astype(np.float64)}

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None
    ) -> Metrics:
        """Return PR-AUC and log loss over all (row, class) pairs, and the classes' mean ROC-AUC.

        The mean is over the classes with both labels; a half if there is none.
        """
        n_classes = labels.shape[1]
        by_class = [
            metrics.roc_auc(labels[:, i], predictions[:, i], weight) for i in range(n_classes)
        ]
        known = [auc for auc in by_class if auc is not None]
        pair_weight = None if weight is None else np.repeat(weight, n_classes)
        return {
            "roc_auc": float(np.mean(known)) if known else 0.5,
            "pr_auc": metrics.pr_auc(labels.ravel(), predictions.ravel(), pair_weight) or 0.0,
            "log_loss": metrics.log_loss(labels, predictions, weight),
        }

    def baselines(self, task: TaskSpec, inputs: BaselineInputs) -> dict[str, np.ndarray]:
        """Return each class's share of the train rows."""
        rate = np.nanmean(inputs.train_labels, axis=0)
        return {"rate_in_train": np.tile(rate, (len(inputs.labels), 1))}

    def to_profile_value(self, task: TaskSpec, outputs: "Column") -> "Column":
        """Return the classes with a probability above a half, most probable first."""
        from pyspark.sql import functions as F

        from profile_lib.spark.ranked_classes import rank_classes

        ranked = rank_classes(outputs, task.classes, len(task.classes))
        return F.filter(ranked, lambda label: label["weight"] > 0.5)
