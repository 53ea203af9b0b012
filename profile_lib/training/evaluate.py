"""Test predictions and baselines in, the report out: measures, intervals, segments, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.metrics import classification_report

from profile_lib import metrics
from profile_lib.model.tasks import TaskSpec, label_columns
from profile_lib.training.baselines import Numbers, fit_baselines
from profile_lib.training.predict import Predictions

N_BINS = 10
N_CURVE = 200  # points of a curve that is drawn
N_VALUES = 6  # of a segment's column that are told, the commonest ones
COMPARED = {"roc_auc": metrics.roc_auc, "pr_auc": metrics.pr_auc}  # with intervals
Report = dict[str, Any]
Ways = dict[str, np.ndarray]  # way of answering → probabilities of the same rows


def evaluate(
    tasks: Sequence[TaskSpec],
    following: str | None,
    predictions: Predictions,
    train: Numbers,
    test: Numbers,
    users: pd.DataFrame,
    n_categories: int,
    seed: int,
    n_resamples: int,
) -> Report:
    """task → n, and way of answering → measures; `following` is the task of the next category.

    Measured on the test rows whose label is known and, where it is a class, was seen in train.
    The model stands beside logistic regression and gradient boosting on the same numbers, or
    beside the commonest class of train and, for the next category, the most-seen category, or the
    mean of train. `users` (index row_hash; user_hash, and a column a segment) are what the
    intervals resample and what the segments are. Of a binary task every measure with an interval
    is also told as the model's lead over gradient boosting, of the same resamples.
    """
    report: Report = {}
    for task, columns in label_columns(tasks):
        found = predictions[task.name]
        entry: Report = {"kind": task.kind, "n": len(found["label"])}
        report[task.name] = entry
        if entry["n"] == 0:
            continue
        rows = _in_order(test, found["row_hash"])
        if task.kind == "binary":
            entry["positives"] = int((found["label"] == 1).sum())
            ways = {
                "model": found["probability"],
                **fit_baselines(train, rows, columns.start, n_categories, seed),
            }
            of = users.reindex(found["row_hash"])
            entry.update(_binary_entry(found["label"], ways, of, seed, n_resamples))
        elif task.kind == "multiclass":
            entry["model"] = ranked_measures(found["rank"])
            entry["commonest_class"] = _one_guess(found["label"] == 0)  # commonest stand first
            if task.name == following:
                entry["most_seen_category"] = _one_guess(found["label"] == rows.top_class)
        elif task.kind == "multilabel":
            entry["model"] = multilabel_measures(found["label"], found["probability"])
            rate = np.nanmean(train.labels[:, columns], axis=0)
            entry["rate_in_train"] = multilabel_measures(
                found["label"], np.tile(rate, (entry["n"], 1))
            )
        else:
            entry["model"] = regression_measures(found["label"], found["value"])
            entry["mean_of_train"] = regression_measures(
                found["label"], np.full(entry["n"], task.center)
            )
    return report


def measure_alone(tasks: Sequence[TaskSpec], predictions: Predictions) -> Report:
    """task → kind, n and the model's measures; nothing beside it."""
    report: Report = {}
    for task in tasks:
        found = predictions[task.name]
        report[task.name] = {"kind": task.kind, "n": len(found["label"])}
        if len(found["label"]):
            report[task.name]["model"] = _measures(task, found)
    return report


def _measures(task: TaskSpec, found: dict[str, np.ndarray]) -> dict[str, Any]:
    if task.kind == "multiclass":
        return dict(ranked_measures(found["rank"]))
    if task.kind == "regression":
        return dict(regression_measures(found["label"], found["value"]))
    if task.kind == "multilabel":
        return dict(multilabel_measures(found["label"], found["probability"]))
    return dict(binary_measures(found["label"], found["probability"]))


def read_users(folder: str) -> pd.DataFrame:
    """The test rows' users and segments as the snapshot in `folder` holds them, by row_hash."""
    table = pq.read_table(Path(folder) / "test_users")
    return table.to_pandas().drop_duplicates("row_hash").set_index("row_hash")


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


def intervals(
    labels: np.ndarray,
    ways: Ways,
    users: np.ndarray,
    seed: int,
    n_resamples: int,
    against: str = "gradient_boosting",
) -> Report:
    """way → measure → [low, high]: 95 % intervals by bootstrap over users; and `lead`, of the
    model over the way `against` where that stands there, resample by resample."""
    drawn: dict[tuple[str, str], list[float | None]] = {}
    for weight in metrics.bootstrap_weights(users, n_resamples, seed):
        for name, measure in COMPARED.items():
            values = {way: measure(labels, said, weight) for way, said in ways.items()}
            ours, theirs = values.get("model"), values.get(against)
            if ours is not None and theirs is not None:
                values["lead"] = ours - theirs
            for way, value in values.items():
                drawn.setdefault((way, name), []).append(value)
    told: Report = {}
    for (way, name), values_drawn in drawn.items():
        told.setdefault(way, {})[name] = metrics.interval(values_drawn)
    return told


def _binary_entry(
    labels: np.ndarray, ways: Ways, users: pd.DataFrame, seed: int, n_resamples: int
) -> Report:
    entry: Report = {way: binary_measures(labels, said) for way, said in ways.items()}
    entry |= binary_details(labels, ways["model"])
    user = users["user_hash"].to_numpy()
    entry["intervals"] = intervals(labels, ways, user, seed, n_resamples)
    entry["segments"] = {}
    for column in users.columns.drop("user_hash"):
        values = users[column].fillna("unknown").astype(str)
        for value in values.value_counts().index[:N_VALUES]:
            at = (values == value).to_numpy()
            own = {"model": ways["model"][at]}
            entry["segments"].setdefault(column, {})[value] = {
                "n": int(at.sum()),
                "positives": int((labels[at] == 1).sum()),
                "model": binary_measures(labels[at], own["model"]),
                "intervals": intervals(labels[at], own, user[at], seed, n_resamples)["model"],
            }
    entry["curves"] = {way: curves(labels, said) for way, said in ways.items()}
    return entry


def curves(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, list[list[float]]]:
    """Points (false positive rate, true positive rate) and (recall, precision), thinned evenly."""
    hits, misses = metrics.counts_by_score(labels, probabilities)
    at = np.unique(np.linspace(0, len(hits) - 1, N_CURVE).round().astype(int))
    recall = hits[at] / max(hits[-1], 1)
    rate, precision = misses[at] / max(misses[-1], 1), hits[at] / (hits[at] + misses[at])
    return {
        "roc": np.stack([rate, recall], axis=1).round(5).tolist(),
        "precision_recall": np.stack([recall, precision], axis=1).round(5).tolist(),
    }


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """The tasks of a report as a table: a block a task, a line a way of answering."""
    lines = []
    for task, entry in report.items():
        positives = f", {entry['positives']:,} positive" if "positives" in entry else ""
        lines.append(f"{task} ({entry['n']:,} test rows{positives})")
        names = list(entry.get("model", ()))
        lines.append(f"  {'':<22}" + "".join(f"{name:>18}" for name in names))
        for way, found in entry.items():
            if isinstance(found, dict) and set(found) == set(names):
                values = (
                    f"{'–' if found[n] is None else format(found[n], '.4f'):>18}" for n in names
                )
                lines.append(f"  {way:<22}" + "".join(values))
    return lines


def _in_order(rows: Numbers, row_hash: np.ndarray) -> Numbers:
    """The rows of those hashes, in their order."""
    order = np.argsort(rows.row_hash)
    at = order[np.searchsorted(rows.row_hash, row_hash, sorter=order)]
    return Numbers(*(column[at] for column in rows))


def _one_guess(is_right: np.ndarray) -> dict[str, float]:
    """Of a rule that says one class: what is not its guess has no rank and counts 0."""
    share = float(np.mean(is_right))
    return {"accuracy": share, "mrr": share, "top_3": share}
