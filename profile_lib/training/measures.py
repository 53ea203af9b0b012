"""What one way of answering a task is worth: labels and answers in, named measures out."""

from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from profile_lib import metrics
from profile_lib.model.tasks import TaskSpec

N_BINS = 10


def measures_of(task: TaskSpec, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """The measures of the task's kind, of predictions as `predict` makes them."""
    if task.kind == "multiclass":
        return dict(ranked_measures(found["rank"]))
    if task.kind == "regression":
        return dict(regression_measures(found["label"], found["value"]))
    if task.kind == "multilabel":
        return dict(multilabel_measures(found["label"], found["probability"]))
    return dict(binary_measures(found["label"], found["probability"]))


def binary_measures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """ROC-AUC and PR-AUC (None where a class is absent), log loss, Brier score, calibration."""
    return {
        "roc_auc": metrics.roc_auc(labels, probabilities),
        "pr_auc": metrics.pr_auc(labels, probabilities),
        "log_loss": metrics.log_loss(labels, probabilities),
        "brier": metrics.brier(labels, probabilities),
        "calibration_error": metrics.calibration_error(labels, probabilities, N_BINS),
    }


def binary_details(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """The bins of the calibration, and the classification report at the observed rate.

    As many rows are called positive as there are: at a half, a rare event is never called.
    """
    n_called = int((labels == 1).sum())
    called = np.zeros(len(labels), int)
    called[np.argsort(-probabilities, kind="stable")[:n_called]] = 1
    return {
        "calibration": metrics.calibration_bins(labels, probabilities, N_BINS),
        "classification_report": classification_report(
            labels, called, labels=[0, 1], output_dict=True, zero_division=0.0
        ),
    }


def ranked_measures(ranks: np.ndarray) -> dict[str, float]:
    """Accuracy, mean reciprocal rank and hit rate at 3 from the ranks of the true classes."""
    return {
        "accuracy": metrics.hit_rate(ranks, 1),
        "mrr": metrics.mean_reciprocal_rank(ranks),
        "top_3": metrics.hit_rate(ranks, 3),
    }


def multilabel_measures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Over all (row, class) pairs: PR-AUC and log loss; and the mean ROC-AUC of the classes that
    have both answers, a half where none has."""
    per_class = [metrics.roc_auc(labels[:, i], probabilities[:, i]) for i in range(labels.shape[1])]
    known = [auc for auc in per_class if auc is not None]
    return {
        "roc_auc": float(np.mean(known)) if known else 0.5,
        "pr_auc": metrics.pr_auc(labels.ravel(), probabilities.ravel()) or 0.0,
        "log_loss": metrics.log_loss(labels, probabilities),
    }


def regression_measures(labels: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Root mean squared and mean absolute error in the label's unit."""
    return {
        "rmse": metrics.rmse(labels, values),
        "mae": float(np.mean(np.abs(labels - values))),
    }


def one_guess(is_right: np.ndarray) -> dict[str, float]:
    """Of a rule that says one class: what is not its guess has no rank and counts 0."""
    share = float(np.mean(is_right))
    return {"accuracy": share, "mrr": share, "top_3": share}
