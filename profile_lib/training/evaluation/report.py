"""Test predictions and baselines in, the report out: measures, intervals, segments, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from profile_lib.metrics import classification as metrics
from profile_lib.model.tasks import TaskKind, TaskSpec, slice_label_columns
from profile_lib.training.data.snapshot import REQUEST_HASH
from profile_lib.training.evaluation.baselines import BaselineRows, fit_baselines
from profile_lib.training.evaluation.measures import (
    MEASURED_COLUMN,
    binary_task_details,
    compute_metrics,
    compute_resampled_metrics,
    rank_constant_prediction,
)
from profile_lib.training.evaluation.predictions import Predictions
from profile_lib.training.evaluation.ranking_report import (
    compute_request_metrics,
    format_request_metrics,
)

MAX_CURVE_POINTS = 200  # points of a curve that is drawn
MAX_SEGMENT_VALUES = 6  # of a segment's column that are told, the commonest ones
Report = dict[str, Any]
Methods = dict[str, np.ndarray]  # way of answering → what it says of the same rows


def evaluate(
    tasks: Sequence[TaskSpec],
    next_category_task: str | None,
    predictions: Predictions,
    train: BaselineRows,
    test: BaselineRows,
    users: pd.DataFrame,
    n_categories: int,
    seed: int,
    n_resamples: int,
) -> Report:
    """task → n, and way of answering → measures; `next_category_task` is the task of the next category.

    Measured on the test rows whose label is known and, where it is a class, was seen in train.
    The model stands beside logistic regression and gradient boosting on the same numbers, or
    beside the commonest class of train and, for the next category, the most-seen category, or
    what train says on average. `users` (index row_hash; user_hash, and a column a segment) are
    what the intervals resample and what the segments are. Every measure with an interval is also
    told as the model's lead over the last of the other methods, of the same resamples. Where rows are
    parts of requests (a column REQUEST_HASH), each way is also measured by their order in each.
    """
    report: Report = {}
    for task, columns in slice_label_columns(tasks):
        found = predictions[task.name]
        labels = found["label"]
        report[task.name] = {"kind": task.kind, "n": len(labels)}
        if len(labels) == 0:
            continue
        rows = _in_order(test, found["row_hash"])
        methods = {"model": found[MEASURED_COLUMN[task.kind]]}
        if task.kind == "binary":
            methods |= fit_baselines(train, rows, columns.start, n_categories, seed)
        elif task.kind == "multiclass":
            methods["commonest_class"] = rank_constant_prediction(
                labels == 0
            )  # commonest stand first
            if task.name == next_category_task:
                methods["most_seen_category"] = rank_constant_prediction(labels == rows.top_class)
        elif task.kind == "multilabel":
            rate = np.nanmean(train.labels[:, columns], axis=0)
            methods["rate_in_train"] = np.tile(rate, (len(labels), 1))
        else:
            methods["mean_of_train"] = np.full(len(labels), task.center)
        of = users.reindex(found["row_hash"])
        report[task.name] |= evaluate_task(task.kind, labels, methods, of, seed, n_resamples)
    return report


def evaluate_without_baselines(tasks: Sequence[TaskSpec], predictions: Predictions) -> Report:
    """task → kind, n and the model's measures; nothing beside it."""
    report: Report = {}
    for task in tasks:
        found = predictions[task.name]
        report[task.name] = {"kind": task.kind, "n": len(found["label"])}
        if len(found["label"]):
            said = found[MEASURED_COLUMN[task.kind]]
            report[task.name]["model"] = compute_metrics(task.kind, found["label"], said)
    return report


def read_test_users(folder: str) -> pd.DataFrame:
    """The test rows' users and segments as the snapshot in `folder` holds them, by row_hash."""
    table = pq.read_table(Path(folder) / "test_users")
    return table.to_pandas().drop_duplicates("row_hash").set_index("row_hash")


def bootstrap_intervals(
    kind: TaskKind,
    labels: np.ndarray,
    methods: Methods,
    users: np.ndarray,
    seed: int,
    n_resamples: int,
) -> Report:
    """way → measure → [low, high]: 95 % intervals by bootstrap over users; and `lead`, of the
    model over the last of the other methods if there is one, resample by resample."""
    drawn: dict[str, dict[str, list[float | None]]] = {}
    others = [way for way in methods if way != "model"]
    for weight in metrics.bootstrap_weights(users, n_resamples, seed):
        if not weight.any():
            continue  # of one or two users none may be drawn
        values = {
            way: compute_resampled_metrics(kind, labels, said, weight)
            for way, said in methods.items()
        }
        if others:
            ours, theirs = values["model"], values[others[-1]]
            values["lead"] = {name: _difference(ours[name], theirs[name]) for name in ours}
        for way, found in values.items():
            for name, value in found.items():
                drawn.setdefault(way, {}).setdefault(name, []).append(value)
    return {
        way: {name: metrics.percentile_interval(values) for name, values in found.items()}
        for way, found in drawn.items()
    }


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def evaluate_task(
    kind: TaskKind,
    labels: np.ndarray,
    methods: Methods,
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> Report:
    """What `evaluate` tells of a task: each way's measures, intervals, segments and curves, of rows
    whose `users` stand in their order."""
    is_binary, user = kind == "binary", users["user_hash"].to_numpy()
    entry: Report = {"positives": int((labels == 1).sum())} if is_binary else {}
    entry |= {way: compute_metrics(kind, labels, said) for way, said in methods.items()}
    entry["intervals"] = bootstrap_intervals(kind, labels, methods, user, seed, n_resamples)
    if REQUEST_HASH in users and is_binary:
        entry["by_request"] = compute_request_metrics(labels, methods, users, seed, n_resamples)
    entry["segments"] = {}
    for column in users.columns.drop(["user_hash", REQUEST_HASH], errors="ignore"):
        values = users[column].fillna("unknown").astype(str)
        for value in values.value_counts().index[:MAX_SEGMENT_VALUES]:
            at = (values == value).to_numpy()
            own = {"model": methods["model"][at]}
            found = bootstrap_intervals(kind, labels[at], own, user[at], seed, n_resamples)
            entry["segments"].setdefault(column, {})[value] = {
                "n": int(at.sum()),
                **({"positives": int((labels[at] == 1).sum())} if is_binary else {}),
                "model": compute_metrics(kind, labels[at], own["model"]),
                "intervals": found.get("model", {}),
            }
    if is_binary:
        entry |= binary_task_details(labels, methods["model"])
        entry["curves"] = {way: compute_curves(labels, said) for way, said in methods.items()}
    return entry


def compute_curves(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, list[list[float]]]:
    """Points (false positive rate, true positive rate) and (recall, precision), thinned evenly."""
    hits, misses = metrics.counts_by_score(labels, probabilities)
    at = np.unique(np.linspace(0, len(hits) - 1, MAX_CURVE_POINTS).round().astype(int))
    recall = hits[at] / max(hits[-1], 1)
    rate, precision = misses[at] / max(misses[-1], 1), hits[at] / (hits[at] + misses[at])
    return {
        "roc": np.stack([rate, recall], axis=1).round(5).tolist(),
        "precision_recall": np.stack([recall, precision], axis=1).round(5).tolist(),
    }


def format_report(report: Mapping[str, Any]) -> list[str]:
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
        if "by_request" in entry:
            lines += format_request_metrics(entry["by_request"])
    return lines


def _in_order(rows: BaselineRows, row_hash: np.ndarray) -> BaselineRows:
    """The rows of those hashes, in their order."""
    order = np.argsort(rows.row_hash)
    at = order[np.searchsorted(rows.row_hash, row_hash, sorter=order)]
    return BaselineRows(*(column[at] for column in rows))
