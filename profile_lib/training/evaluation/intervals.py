"""Compute intervals of metrics by a bootstrap over users."""

from collections.abc import Mapping

import numpy as np

from profile_lib.metrics.bootstrap import bootstrap_weights, percentile_interval
from profile_lib.model.task_kinds import TaskKind

Methods = Mapping[str, np.ndarray]  # method → its predictions of the same rows; `model` is first
Intervals = dict[str, dict[str, list[float] | None]]  # method → metric → [low, high]


def bootstrap_intervals(
    kind: TaskKind,
    labels: np.ndarray,
    methods: Methods,
    users: np.ndarray,
    seed: int,
    n_resamples: int,
) -> Intervals:
    """Return 95 % intervals of each method's metrics, by bootstrap over users.

    `users`, (n,), holds the user of each row. The entry `name_lead(METHOD)` of each other method is
    the model's metric minus that of the method, computed resample by resample. An interval is None
    if no resample determines the metric.
    """
    samples: dict[str, dict[str, list[float | None]]] = {}
    others = [name for name in methods if name != "model"]
    for weight in bootstrap_weights(users, n_resamples, seed):
        if not weight.any():
            continue  # a resample of one or two users may contain none of them
        values = {
            name: kind.compute_metrics(labels, predictions, weight)
            for name, predictions in methods.items()
        }
        model = values["model"]
        for other in others:
            values[name_lead(other)] = {
                name: _difference(model[name], values[other][name]) for name in model
            }
        for method, by_metric in values.items():
            for name, value in by_metric.items():
                samples.setdefault(method, {}).setdefault(name, []).append(value)
    return {
        method: {name: percentile_interval(values) for name, values in by_metric.items()}
        for method, by_metric in samples.items()
    }


def name_lead(method: str) -> str:
    """Return the name of the model's lead over another method."""
    return f"model less {method}"


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
