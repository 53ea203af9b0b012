"""What ways say of the parts of requests in; how well each orders every request's parts out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from profile_lib import metrics, ranks
from profile_lib.segments import place_within
from profile_lib.training.snapshot import REQUEST

K = 10  # places of a list that are looked at


def by_request(
    labels: np.ndarray,
    ways: Mapping[str, np.ndarray],
    users: pd.DataFrame,
    seed: int,
    n_resamples: int,
) -> dict[str, Any]:
    """`n`, requests with a part whose label is 1; of each way the NDCG and the reciprocal rank of
    such parts among the first K, means over the requests; and `lead`, the 95 % interval of the
    model's NDCG less the last other way's, by bootstrap over users.

    Parts of equal scores stand in the worst order.
    """
    _, request = np.unique(users[REQUEST].to_numpy(), return_inverse=True)
    is_wanted = labels == 1
    of_user = np.zeros(request.max(initial=-1) + 1, np.int64)
    of_user[request] = users["user_hash"].to_numpy()
    found = {
        way: ranks.by_user(
            request[is_wanted], _ranks(request, said, is_wanted), np.ones(int(is_wanted.sum())), K
        )
        for way, said in ways.items()
    }
    told: dict[str, Any] = {"n": len(np.unique(request[is_wanted]))}
    if not told["n"]:
        return told
    for way, of in found.items():
        told[way] = {name: float(of[name].mean()) for name in ("ndcg", "mrr")}
    others = [way for way in ways if way != "model"]
    if others:
        lead = found["model"]["ndcg"] - found[others[-1]]["ndcg"]
        user = of_user[np.unique(request[is_wanted])]
        drawn = metrics.bootstrap_weights(user, n_resamples, seed)
        told["lead"] = metrics.interval([np.average(lead, weights=w) for w in drawn if w.any()])
    return told


def request_lines(told: Mapping[str, Any]) -> list[str]:
    """The same as lines of a table."""
    lines = [f"  order within {told['n']:,} requests, first {K}:"]
    for way, found in told.items():
        if isinstance(found, dict):
            values = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
            lines.append(f"    {way:<20} {values}")
    return lines


def _ranks(request: np.ndarray, said: np.ndarray, is_wanted: np.ndarray) -> np.ndarray:
    """The rank of each wanted part among those of its request, behind all that score as high and
    are not wanted."""
    order = np.lexsort((is_wanted, -said, request))
    rank = np.empty(len(order))
    rank[order] = place_within(request[order]) + 1
    return rank[is_wanted]
