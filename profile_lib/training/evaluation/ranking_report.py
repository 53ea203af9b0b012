"""Measure how well methods order the rows of each request."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from profile_lib.arrays.groups import index_within_group
from profile_lib.metrics import ranking
from profile_lib.metrics.bootstrap import bootstrap_weights, percentile_interval
from profile_lib.training.data.snapshot import REQUEST_HASH

TOP_K = 10  # metrics read the first TOP_K rows of a request


def compute_request_metrics(
    labels: np.ndarray,
    methods: Mapping[str, np.ndarray],
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> dict[str, Any]:
    """Compute each method's mean NDCG and reciprocal rank over requests.

    A row is relevant if its label is 1; `n` is the number of requests with a relevant row, which
    alone are measured. Metrics read the first TOP_K rows, rows of equal scores in the worst order.
    `users` has the columns user_hash and REQUEST_HASH, a row per label. `lead` is the 95 % interval
    of the model's NDCG minus that of the last other method, by bootstrap over users.
    """
    _, request = np.unique(users[REQUEST_HASH].to_numpy(), return_inverse=True)
    is_relevant = labels == 1
    user_of_request = np.zeros(request.max(initial=-1) + 1, np.int64)
    user_of_request[request] = users["user_hash"].to_numpy()
    by_request = {
        name: ranking.ranking_metrics_per_user(
            request[is_relevant],
            _ranks(request, predictions, is_relevant),
            np.ones(int(is_relevant.sum())),
            TOP_K,
        )
        for name, predictions in methods.items()
    }
    requests = np.unique(request[is_relevant])
    report: dict[str, Any] = {"n": len(requests)}
    if not report["n"]:
        return report
    for name, values in by_request.items():
        report[name] = {metric: float(values[metric].mean()) for metric in ("ndcg", "mrr")}
    others = [name for name in methods if name != "model"]
    if others:
        lead = by_request["model"]["ndcg"] - by_request[others[-1]]["ndcg"]
        weights = bootstrap_weights(user_of_request[requests], n_resamples, seed)
        report["lead"] = percentile_interval(
            [np.average(lead, weights=weight) for weight in weights if weight.any()]
        )
    return report


def format_request_metrics(report: Mapping[str, Any]) -> list[str]:
    """Format the metrics as lines of a table."""
    lines = [f"  order within {report['n']:,} requests, first {TOP_K}:"]
    for name, entry in report.items():
        if isinstance(entry, dict):
            values = ", ".join(f"{metric} {value:.4f}" for metric, value in entry.items())
            lines.append(f"    {name:<20} {values}")
    return lines


def _ranks(request: np.ndarray, predictions: np.ndarray, is_relevant: np.ndarray) -> np.ndarray:
    """Return the rank, from 1, of each relevant row in its request.

    A relevant row ranks after irrelevant rows of equal score.
    """
    order = np.lexsort((is_relevant, -predictions, request))
    rank = np.empty(len(order))
    rank[order] = index_within_group(request[order]) + 1
    return rank[is_relevant]
