"""What one way of answering a task is worth: labels and answers in, named measures out."""

from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from profile_lib.metrics import classification as metrics
from profile_lib.model.tasks import TaskKind

N_CALIBRATION_BINS = 10
MEASURED_COLUMN = {  # of each kind of task, which column of its predictions is measured
    "binary": "probability", "multiclass": "rank", "multilabel": "probability",
    "regression": "value",
}  # fmt: skip
HEADLINE_METRICS: dict[TaskKind, tuple[str, ...]] = {  # of each kind, by what two models are told apart at a look
    "binary": ("roc_auc", "pr_auc"), "multiclass": ("accuracy", "mrr"),
    "multilabel": ("roc_auc", "pr_auc"), "regression": ("rmse", "mae"),
}  # fmt: skip
Metrics = dict[str, float | None]


def compute_metrics(kind: TaskKind, labels: np.ndarray, predictions: np.ndarray) -> Metrics:
    """Every measure of the kind; predictions as MEASURED_COLUMN names it."""
    found = compute_resampled_metrics(kind, labels, predictions)
    if kind == "binary":
        found["calibration_error"] = metrics.calibration_error(
            labels, predictions, N_CALIBRATION_BINS
        )
    return found


def compute_resampled_metrics(
    kind: TaskKind, labels: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None
) -> Metrics:
    """Those whose resamples scatter around them; rows count by their weight.

    The calibration error is not among them: the noise of a resample adds to it.
    """
    if kind == "binary":
        return _of_probabilities(labels, predictions, weight)
    if kind == "multilabel":
        return _of_several(labels, predictions, weight)
    if kind == "regression":
        return {
            "rmse": metrics.rmse(labels, predictions, weight),
            "mae": metrics.mae(labels, predictions, weight),
        }
    return {
        "accuracy": metrics.hit_rate(predictions, 1, weight),
        "mrr": metrics.mean_reciprocal_rank(predictions, weight),
        "top_3": metrics.hit_rate(predictions, 3, weight),
    }


def _of_probabilities(
    labels: np.ndarray, probabilities: np.ndarray, weight: np.ndarray | None
) -> Metrics:
    """None where a class is absent, of the measures that need both."""
    return {
        "roc_auc": metrics.roc_auc(labels, probabilities, weight),
        "pr_auc": metrics.pr_auc(labels, probabilities, weight),
        "log_loss": metrics.log_loss(labels, probabilities, weight),
        "brier": metrics.brier(labels, probabilities, weight),
    }


def _of_several(
    labels: np.ndarray, probabilities: np.ndarray, weight: np.ndarray | None
) -> Metrics:
    """Over all (row, class) pairs: PR-AUC and log loss; and the mean ROC-AUC of the classes that
    have both answers, a half where none has."""
    n_classes = labels.shape[1]
    per_class = [metrics.roc_auc(labels[:, i], probabilities[:, i], weight)
                 for i in range(n_classes)]  # fmt: skip
    known = [auc for auc in per_class if auc is not None]
    of_pairs = None if weight is None else np.repeat(weight, n_classes)
    return {
        "roc_auc": float(np.mean(known)) if known else 0.5,
        "pr_auc": metrics.pr_auc(labels.ravel(), probabilities.ravel(), of_pairs) or 0.0,
        "log_loss": metrics.log_loss(labels, probabilities, weight),
    }


def binary_task_details(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """The bins of the calibration, and the classification report at the observed rate.

    As many rows are called positive as there are: at a half, a rare event is never called.
    """
    n_called = int((labels == 1).sum())
    called = np.zeros(len(labels), int)
    called[np.argsort(-probabilities, kind="stable")[:n_called]] = 1
    return {
        "calibration": metrics.calibration_bins(labels, probabilities, N_CALIBRATION_BINS),
        "classification_report": classification_report(
            labels, called, labels=[0, 1], output_dict=True, zero_division=0.0
        ),
    }


def rank_constant_prediction(is_right: np.ndarray) -> np.ndarray:
    """The ranks of a rule that says one class: what is not its guess has none."""
    return np.where(is_right, 1.0, np.inf)
