"""What one way of answering a task is worth: labels and answers in, named measures out."""

from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from profile_lib import metrics
from profile_lib.model.tasks import Kind

N_BINS = 10
SAID = {  # of each kind of task, which column of its predictions is measured
    "binary": "probability", "multiclass": "rank", "multilabel": "probability",
    "regression": "value",
}  # fmt: skip
MAIN: dict[Kind, tuple[str, ...]] = {  # of each kind, by what two models are told apart at a look
    "binary": ("roc_auc", "pr_auc"), "multiclass": ("accuracy", "mrr"),
    "multilabel": ("roc_auc", "pr_auc"), "regression": ("rmse", "mae"),
}  # fmt: skip
Measures = dict[str, float | None]


def measures(kind: Kind, labels: np.ndarray, said: np.ndarray) -> Measures:
    """Every measure of the kind; `said` as SAID names it."""
    found = resampled_measures(kind, labels, said)
    if kind == "binary":
        found["calibration_error"] = metrics.calibration_error(labels, said, N_BINS)
    return found


def resampled_measures(
    kind: Kind, labels: np.ndarray, said: np.ndarray, weight: np.ndarray | None = None
) -> Measures:
    """Those whose resamples scatter around them; rows count by their weight.

    The calibration error is not among them: the noise of a resample adds to it.
    """
    if kind == "binary":
        return _of_probabilities(labels, said, weight)
    if kind == "multilabel":
        return _of_several(labels, said, weight)
    if kind == "regression":
        return {
            "rmse": metrics.rmse(labels, said, weight),
            "mae": metrics.mae(labels, said, weight),
        }
    return {
        "accuracy": metrics.hit_rate(said, 1, weight),
        "mrr": metrics.mean_reciprocal_rank(said, weight),
        "top_3": metrics.hit_rate(said, 3, weight),
    }


def _of_probabilities(
    labels: np.ndarray, probabilities: np.ndarray, weight: np.ndarray | None
) -> Measures:
    """None where a class is absent, of the measures that need both."""
    return {
        "roc_auc": metrics.roc_auc(labels, probabilities, weight),
        "pr_auc": metrics.pr_auc(labels, probabilities, weight),
        "log_loss": metrics.log_loss(labels, probabilities, weight),
        "brier": metrics.brier(labels, probabilities, weight),
    }


def _of_several(
    labels: np.ndarray, probabilities: np.ndarray, weight: np.ndarray | None
) -> Measures:
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


def one_guess(is_right: np.ndarray) -> np.ndarray:
    """The ranks of a rule that says one class: what is not its guess has none."""
    return np.where(is_right, 1.0, np.inf)
