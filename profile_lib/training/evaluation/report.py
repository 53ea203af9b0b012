"""Measure a model and its baselines on the test split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from profile_lib.model.task_kinds import BaselineInputs, Metrics, TaskKind
from profile_lib.model.tasks import TaskSpec, slice_label_columns
from profile_lib.training.baselines.rows import BaselineRows
from profile_lib.training.data.snapshot import REQUEST_HASH
from profile_lib.training.evaluation.curves import compute_curves
from profile_lib.training.evaluation.intervals import Methods, bootstrap_intervals
from profile_lib.training.evaluation.predictions import Predictions
from profile_lib.training.evaluation.ranking_report import (
    compute_request_metrics,
    format_request_metrics,
)

MAX_SEGMENT_VALUES = 6  # the most frequent values of a segment column get an entry
Report = dict[str, Any]  # task → its kind, n, and metrics by method


def evaluate(
    tasks: Sequence[TaskSpec],
    next_category_task: str | None,
    predictions: Predictions,
    train: BaselineRows,
    test: BaselineRows,
    classifiers: Mapping[str, Mapping[str, np.ndarray]],
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> Report:
    """Measure the model and the baselines of each task.

    Metrics are of the test rows with a known label. Returns per task its kind, the number of rows
    `n`, and the entries of `evaluate_task`. `next_category_task` is also compared with the category
    that the user saw most. `classifiers` holds other models' probabilities of the rows in
    `predictions`, by task and name. `users` has the index row_hash and the columns user_hash, one
    per segment and, if rows belong to requests, REQUEST_HASH.
    """
    report: Report = {}
    for task, columns in slice_label_columns(tasks):
        rows = predictions[task.name]
        labels = rows["label"]
        report[task.name] = {"kind": task.kind, "n": len(labels)}
        if len(labels) == 0:
            continue
        test_rows = test.select(rows["row_hash"])
        is_next_category = task.name == next_category_task
        inputs = BaselineInputs(
            labels=labels,
            train_labels=train.labels[:, columns],
            is_most_seen=labels == test_rows.top_class if is_next_category else None,
            classifiers=classifiers.get(task.name, {}),
        )
        kind = task.definition
        methods = {"model": rows[kind.measured_column], **kind.baselines(task, inputs)}
        row_users = users.reindex(rows["row_hash"])
        report[task.name] |= evaluate_task(kind, labels, methods, row_users, seed, n_resamples)
    return report


def evaluate_without_baselines(tasks: Sequence[TaskSpec], predictions: Predictions) -> Report:
    """Return per task its kind, n and the model's metrics."""
    report: Report = {}
    for task in tasks:
        rows, kind = predictions[task.name], task.definition
        report[task.name] = {"kind": task.kind, "n": len(rows["label"])}
        if len(rows["label"]):
            report[task.name]["model"] = compute_metrics(
                kind, rows["label"], rows[kind.measured_column]
            )
    return report


def compute_metrics(kind: TaskKind, labels: np.ndarray, predictions: np.ndarray) -> Metrics:
    """Compute all metrics of the kind: those with an interval and those without."""
    return {
        **kind.compute_metrics(labels, predictions),
        **kind.compute_biased_metrics(labels, predictions),
    }


def read_test_users(folder: str) -> pd.DataFrame:
    """Read users and segments of a snapshot's test rows, by row_hash."""
    table = pq.read_table(Path(folder) / "test_users")
    return table.to_pandas().drop_duplicates("row_hash").set_index("row_hash")


def evaluate_task(
    kind: TaskKind,
    labels: np.ndarray,
    methods: Methods,
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> Report:
    """Return a task's metrics by method, intervals, segments and curves.

    Row i of `users` is the user of `labels[i]`. Intervals resample users; every metric that has one
    also has the interval of the model's lead over the last other method.
    """
    user = users["user_hash"].to_numpy()
    entry: Report = _count_positives(kind, labels)
    entry |= {name: compute_metrics(kind, labels, column) for name, column in methods.items()}
    entry["intervals"] = bootstrap_intervals(kind, labels, methods, user, seed, n_resamples)
    if REQUEST_HASH in users and kind.is_binary:
        entry["by_request"] = compute_request_metrics(labels, methods, users, seed, n_resamples)
    entry["segments"] = _evaluate_segments(kind, labels, methods["model"], users, seed, n_resamples)
    entry |= kind.details(labels, methods["model"])
    if kind.is_binary:
        entry["curves"] = {name: compute_curves(labels, p) for name, p in methods.items()}
    return entry


def format_report(report: Mapping[str, Any]) -> list[str]:
    """Format a table per task: a line per method, a column per metric."""
    lines = []
    for task, entry in report.items():
        positives = f", {entry['positives']:,} positive" if "positives" in entry else ""
        lines.append(f"{task} ({entry['n']:,} test rows{positives})")
        names = list(entry.get("model", ()))
        lines.append(f"  {'':<22}" + "".join(f"{name:>18}" for name in names))
        for method, metrics in entry.items():
            if isinstance(metrics, dict) and set(metrics) == set(names):
                cells = ("–" if metrics[n] is None else f"{metrics[n]:.4f}" for n in names)
                lines.append(f"  {method:<22}" + "".join(f"{cell:>18}" for cell in cells))
        if "by_request" in entry:
            lines += format_request_metrics(entry["by_request"])
    return lines


def _count_positives(kind: TaskKind, labels: np.ndarray) -> dict[str, int]:
    return {"positives": int((labels == 1).sum())} if kind.is_binary else {}


def _evaluate_segments(
    kind: TaskKind,
    labels: np.ndarray,
    predictions: np.ndarray,
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> dict[str, dict[str, Report]]:
    """Return the model's metrics by segment column and value."""
    user = users["user_hash"].to_numpy()
    segments: dict[str, dict[str, Report]] = {}
    for column in users.columns.drop(["user_hash", REQUEST_HASH], errors="ignore"):
        values = users[column].fillna("unknown").astype(str)
        for value in values.value_counts().index[:MAX_SEGMENT_VALUES]:
            rows = (values == value).to_numpy()
            model = {"model": predictions[rows]}
            intervals = bootstrap_intervals(
                kind, labels[rows], model, user[rows], seed, n_resamples
            )
            segments.setdefault(column, {})[value] = {
                "n": int(rows.sum()),
                **_count_positives(kind, labels[rows]),
                "model": compute_metrics(kind, labels[rows], model["model"]),
                "intervals": intervals.get("model", {}),
            }
    return segments
