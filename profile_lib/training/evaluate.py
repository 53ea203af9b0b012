"""Test predictions and baselines in, the report out, and the report as lines of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import classification_report

from profile_lib import metrics
from profile_lib.model.encoder import TaskSpec
from profile_lib.training.baselines import Numbers, fit_baselines
from profile_lib.training.predict import Predictions

N_BINS = 10
BINARY = ("roc_auc", "pr_auc", "log_loss", "brier", "calibration_error")
RANKED = ("accuracy", "mrr", "top_3")
Report = dict[str, Any]


def evaluate(
    tasks: Sequence[TaskSpec],
    following: str | None,
    predictions: Predictions,
    train: Numbers,
    test: Numbers,
    seed: int,
) -> Report:
    """task → n, and way of answering → measures; `following` is the task of the next category.

    Measured on the test rows whose label is known and, where it is a class, was seen in train.
    The model stands beside logistic regression and gradient boosting on the same numbers, or
    beside the commonest class of train and, for the next category, the most-seen category.
    """
    report: Report = {}
    for i, task in enumerate(tasks):
        columns, known = predictions[task.name], test.labels[:, i] >= 0
        entry: Report = {"kind": task.kind, "n": int(known.sum())}
        report[task.name] = entry
        if entry["n"] == 0:
            continue
        labels = test.labels[known, i]
        if task.kind == "binary":
            entry["positives"] = int((labels == 1).sum())
            entry["model"] = binary_measures(columns["label"], columns["probability"])
            entry.update(binary_details(columns["label"], columns["probability"]))
            for name, probability in fit_baselines(train, test, i, seed).items():
                entry[name] = binary_measures(labels, probability)
        else:
            entry["model"] = ranked_measures(columns["rank"])
            entry["commonest_class"] = _one_guess(labels == 0)  # classes stand commonest first
            if task.name == following:
                entry["most_seen_category"] = _one_guess(labels == test.top_class[known])
    return report


def binary_measures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """ROC-AUC and PR-AUC (None where a class is absent), log loss, Brier score, calibration."""
    return {
        "roc_auc": metrics.roc_auc(labels, probabilities),
        "pr_auc": metrics.pr_auc(labels, probabilities),
        "log_loss": metrics.log_loss(labels, probabilities),
        "brier": metrics.brier(labels, probabilities),
        "calibration_error": metrics.calibration_error(labels, probabilities, N_BINS),
    }


def binary_details(labels: np.ndarray, probabilities: np.ndarray) -> Report:
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


def report_lines(report: Report) -> list[str]:
    """The report as a table: a block a task, a line a way of answering."""
    lines = []
    for task, entry in report.items():
        names = BINARY if entry["kind"] == "binary" else RANKED
        positives = f", {entry['positives']:,} positive" if "positives" in entry else ""
        lines.append(f"{task} ({entry['n']:,} test rows{positives})")
        lines.append(f"  {'':<22}" + "".join(f"{name:>18}" for name in names))
        for way, found in entry.items():
            if isinstance(found, dict) and set(found) == set(names):
                values = (
                    f"{'–' if found[n] is None else format(found[n], '.4f'):>18}" for n in names
                )
                lines.append(f"  {way:<22}" + "".join(values))
    return lines


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _one_guess(is_right: np.ndarray) -> dict[str, float]:
    """Of a rule that says one class: what is not its guess has no rank and counts 0."""
    share = float(np.mean(is_right))
    return {"accuracy": share, "mrr": share, "top_3": share}
