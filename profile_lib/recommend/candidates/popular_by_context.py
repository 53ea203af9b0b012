"""What is in demand, and where demand rises: by context, for users of whom little is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import Longs
from profile_lib.recommend.candidates.source import MISSING, Requests
from profile_lib.recommend.candidates.top_k import build_sparse_rows, top_k
from profile_lib.recommend.data.histories import DAY

EVERYWHERE = "everywhere"


def compute_demand(
    events: DataFrame,
    items: DataFrame,
    contexts: Sequence[str],
    weights: Mapping[str, float],
    now: int,
    half_life_days: float,
    short_half_life_days: float,
) -> DataFrame:
    """(context, value, item, demand, recent): what the events say for each item (item_id, item),
    in each value of each context, a column of events, and everywhere.

    What an event says (`weights`, by kind) halves with each `half_life_days` before the second
    `now`; in `recent` with each `short_half_life_days`.
    """
    says = F.create_map(*[F.lit(part) for pair in weights.items() for part in pair])
    days = (F.lit(now) - F.unix_seconds("event_ts")) / DAY
    weight = F.try_element_at(says, F.col("event_type"))
    places = [F.struct(F.lit(c).alias("context"), F.col(c).alias("value")) for c in contexts]
    places.append(F.struct(F.lit(EVERYWHERE).alias("context"), F.lit(EVERYWHERE).alias("value")))
    met = (
        events.where(F.col("event_type").isin(*weights) & (days >= 0))
        .join(F.broadcast(items), "item_id")
        .select(
            "item",
            (weight * F.pow(F.lit(2.0), -days / half_life_days)).alias("demand"),
            (weight * F.pow(F.lit(2.0), -days / short_half_life_days)).alias("recent"),
            F.explode(F.array(*places)).alias("at"),
        )
    )
    return (
        met.select("at.context", "at.value", "item", "demand", "recent")
        .where("value is not null")
        .groupBy("context", "value", "item")
        .agg(F.sum("demand").alias("demand"), F.sum("recent").alias("recent"))
    )


def compute_demand_rise(
    demand: np.ndarray, recent: np.ndarray, recent_share: np.ndarray
) -> np.ndarray:
    """By how many standard deviations of a count demand of late is above what it was: (n,), not
    below 0. `recent_share`: (n,), the share of all
    demand there that is recent."""
    usual = np.maximum(demand * recent_share, 1e-9)
    return np.maximum(recent - usual, 0) / np.sqrt(usual + 1)


@dataclass(frozen=True)
class ContextPopularity:
    """`shares`: (n_values + 1, n_items), of each value of each context how demand falls on items,
    everywhere in the last row; `first_row`: (c,), of each context the row of its first value;
    `trust`: (n_values + 1,), from 0 to 1, how much the value's own row counts, the rest is
    everywhere's."""

    shares: sparse.csr_array
    first_row: Longs
    trust: np.ndarray

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """The mean over the contexts that are known of a user."""
        key = np.zeros(len(requests.contexts), np.int64)  # one number a user: rows compare slowly
        for value in requests.contexts.T:
            key = key * (value.max(initial=0) + 2) + value - MISSING
        _, first, of_user = np.unique(key, return_index=True, return_inverse=True)
        mixes = requests.contexts[first]
        mix, context = np.nonzero(mixes != MISSING)
        row = self.first_row[context] + mixes[mix, context]
        counts = self.trust[row] / np.maximum(np.bincount(mix, minlength=len(mixes)), 1)[mix]
        everywhere = 1 - np.bincount(mix, counts, len(mixes))
        rows = np.append(row, np.full(len(mixes), self.shares.shape[0] - 1))
        of_mix = np.append(mix, np.arange(len(mixes)))
        order = np.argsort(of_mix, kind="stable")
        weights = np.append(counts, everywhere).astype(np.float32)[order]
        shape = (len(mixes), self.shares.shape[0])
        parts = build_sparse_rows(weights, rows[order], np.bincount(of_mix), shape)
        found = top_k(parts @ self.shares, k)
        return (
            found if len(of_user) == len(mixes) == 1 else sparse.csr_array(found[of_user.ravel()])
        )

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """No item: the context."""
        return np.full(len(user), MISSING)
