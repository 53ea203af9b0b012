"""What methods say of the parts of requests in; how well each orders every request's parts out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from profile_lib.arrays.groups import index_within_group
from profile_lib.metrics import ranking as ranks
from profile_lib.metrics.bootstrap import bootstrap_weights, percentile_interval
from profile_lib.training.data.snapshot import REQUEST_HASH

TOP_K = 10  # places of a list that are looked at


def compute_request_metrics(
    labels: np.ndarray,
    methods: Mapping[str, np.ndarray],
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> dict[str, Any]:
    """`n`, requests with a part whose label is 1; of each way the NDCG and the reciprocal rank of
    such parts among the first TOP_K, means over the requests; and `lead`, the 95 % interval of the
    model's NDCG less the last other way's, by bootstrap over users.

    Parts of equal scores stand in the worst order.
    """
    _, request = np.unique(users[REQUEST_HASH].to_numpy(), return_inverse=True)
    is_wanted = labels == 1
    of_user = np.zeros(request.max(initial=-1) + 1, np.int64)
    of_user[request] = users["user_hash"].to_numpy()
    found = {
        way: ranks.ranking_metrics_per_user(
            request[is_wanted],
            _ranks(request, predictions, is_wanted),
            np.ones(int(is_wanted.sum())),
            TOP_K,
        )
        for way, predictions in methods.items()
    }
    told: dict[str, Any] = {"n": len(np.unique(request[is_wanted]))}
    if not told["n"]:
        return told
    for way, of in found.items():
        told[way] = {name: float(of[name].mean()) for name in ("ndcg", "mrr")}
    others = [way for way in methods if way != "model"]
    if others:
        lead = found["model"]["ndcg"] - found[others[-1]]["ndcg"]
        user = of_user[np.unique(request[is_wanted])]
        drawn = bootstrap_weights(user, n_resamples, seed)
        told["lead"] = percentile_interval([np.average(lead, weights=w) for w in drawn if w.any()])
    return told


def format_request_metrics(told: Mapping[str, Any]) -> list[str]:
    """The same as lines of a table."""
    lines = [f"  order within {told['n']:,} requests, first {TOP_K}:"]
    for way, found in told.items():
        if isinstance(found, dict):
            values = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
            lines.append(f"    {way:<20} {values}")
    return lines


def _ranks(request: np.ndarray, predictions: np.ndarray, is_wanted: np.ndarray) -> np.ndarray:
    """The rank of each wanted part among those of its request, behind all that score as high and
    are not wanted."""
    order = np.lexsort((is_wanted, -predictions, request))
    rank = np.empty(len(order))
    rank[order] = index_within_group(request[order]) + 1
    return rank[is_wanted]
