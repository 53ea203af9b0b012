"""Define tasks whose label is one of several classes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from profile_lib.metrics import classification as metrics
from profile_lib.model.task_kinds.class_labels import order_classes
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


@register_task_kind("multiclass")
class MulticlassTask(TaskKind):
    """The label is a class's position; the predictions are one probability per class.

    A class that the train split does not have is an unknown label.
    """

    measured_column = "rank"
    headline_metrics = ("accuracy", "mrr")
    quality_metrics = ("accuracy", "mrr")
    profile_column = "inferred"

    def fit(self, name: str, label: str, statistics: LabelStatistics) -> TaskSpec:
        """Return the task with its classes. Raises InputError if there are fewer than two."""
        classes = order_classes(name, label, statistics.counts or {})
        return TaskSpec(name=name, kind=self.name, classes=classes)

    def encode(self, task: TaskSpec, label: "Column") -> "Column":
        """Return the position of the label among the classes."""
        from pyspark.sql import functions as F

        from profile_lib.spark.category_codes import category_code

        position = category_code(label.cast("string"), task.classes)
        unknown = F.lit(np.nan).cast("float")
        return F.array(F.when(position >= 0, position.cast("float")).otherwise(unknown))

    def max_label(self, task: TaskSpec) -> float:
        """Return the position of the last class."""
        return len(task.classes) - 1.0

    def loss(
        self, task: TaskSpec, logits: "Tensor", labels: "Tensor", smoothing: float
    ) -> "Tensor":
        """Return the cross-entropy in nats."""
        from torch.nn import functional

        return functional.cross_entropy(
            logits, labels[:, 0].long(), reduction="none", label_smoothing=smoothing
        ).unsqueeze(1)

    def soft_target_loss(self, logits: "Tensor", teacher: "Tensor", temperature: float) -> "Tensor":
        """Return the divergence in nats from the teacher's probabilities, both softened.

        Multiplied by the temperature squared, which keeps the gradients' size (Hinton, Vinyals &
        Dean, Distilling the Knowledge in a Neural Network, 2015).
        """
        from torch.nn import functional

        log_p = (logits / temperature).log_softmax(-1)
        log_q = (teacher / temperature).log_softmax(-1)
        loss = functional.kl_div(log_p, log_q, reduction="none", log_target=True)
        return loss.sum(1) * temperature**2

    def validation_loss(self, task: TaskSpec, columns: Mapping[str, np.ndarray]) -> float:
        """Return the mean cross-entropy in nats."""
        return float(-np.log(np.clip(columns["probability"], 1e-12, 1)).mean())

    def to_predictions(self, task: TaskSpec, logits: "Tensor") -> "Tensor":
        """Return the probability of each class."""
        return logits.softmax(-1)

    def to_columns(
        self, task: TaskSpec, predictions: np.ndarray, labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the predicted class, and rank (from 1) and probability of the true one.

        Classes of one probability are ranked as `argmax` chooses: the more frequent one first. A
        row with a probability that is no number has the last rank.
        """
        true_class = labels.astype(np.int64)
        p_true = np.take_along_axis(predictions, true_class, 1)
        is_before = np.arange(predictions.shape[1]) < true_class
        n_better = ((predictions > p_true) | ((predictions == p_true) & is_before)).sum(axis=1)
        is_known = np.isfinite(predictions).all(axis=1)
        return {
            "label": true_class[:, 0],
            "predicted": predictions.argmax(axis=1).astype(np.int64),
            "rank": np.where(is_known, 1 + n_better, predictions.shape[1]).astype(np.int64),
            "probability": p_true[:, 0].astype(np.float64),
        }

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None
    ) -> Metrics:
        """Return accuracy, mean reciprocal rank, and the hit rate of the first three."""
        return {
            "accuracy": metrics.hit_rate(predictions, 1, weight),
            "mrr": metrics.mean_reciprocal_rank(predictions, weight),
            "top_3": metrics.hit_rate(predictions, 3, weight),
        }

    def baselines(self, task: TaskSpec, inputs: BaselineInputs) -> dict[str, np.ndarray]:
        """Return train's most frequent class and, if known, the user's most-seen category."""
        methods = {"commonest_class": rank_constant_prediction(inputs.labels == 0)}
        if inputs.is_most_seen is not None:
            methods["most_seen_category"] = rank_constant_prediction(inputs.is_most_seen)
        return methods

    def to_profile_value(self, task: TaskSpec, outputs: "Column") -> "Column":
        """Return the most probable class and its probability."""
        from pyspark.sql import functions as F

        from profile_lib.spark.ranked_classes import rank_classes

        best = rank_classes(outputs, task.classes, 1)[0]
        return F.struct(best["name"].alias("value"), best["weight"].alias("confidence"))


def rank_constant_prediction(is_right: np.ndarray) -> np.ndarray:
    """Return the true class's rank under a method that predicts one class."""
    return np.where(is_right, 1.0, np.inf)
