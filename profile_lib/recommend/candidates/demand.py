"""Propose items in demand, or in rising demand, in the user's contexts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import single_chunk
from profile_lib.config.section import Count, Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.context_popularity import ContextPopularity
from profile_lib.recommend.candidates.shared.top_k import top_k
from profile_lib.recommend.candidates.source import Need, SourceData
from profile_lib.recommend.data.arrow_columns import find_positions
from profile_lib.recommend.data.histories import DAY, event_weight

EVERYWHERE = "everywhere"  # the context that all events have, and its only value
SEPARATOR = "\0"  # between a context and its value


class DemandSettings(Section):
    """How demand is counted."""

    rising: bool  # rank by how far recent demand is above its usual level
    half_life_days: float = Field(gt=0)  # of the usual demand
    short_half_life_days: float = Field(gt=0)  # of the recent demand
    prior_demand: float = Field(gt=0)  # demand of a context value at which it gets half the weight
    max_items_per_context: Count  # items stored per value of a context


@candidate_source("demand", DemandSettings)
@dataclass(frozen=True)
class Demand(ContextPopularity):
    """Items in demand, or in rising demand, per value of each context."""

    needs = frozenset({Need.EVENTS})
    default_reason = "popular in {place}"

    @classmethod
    def fit(cls, data: SourceData, settings: DemandSettings) -> "Demand":
        """Fit the demand, with the `max_items_per_context` best items per context value."""
        assert data.events is not None
        assert data.items is not None
        demand = compute_demand(
            data.events,
            data.items,
            list(data.contexts),
            data.weights,
            data.now,
            settings.half_life_days,
            settings.short_half_life_days,
        ).toArrow()
        first = np.cumsum([0, *[len(values) for values in data.contexts.values()]])
        names = [f"{c}{SEPARATOR}{v}" for c, values in data.contexts.items() for v in values]
        names.append(f"{EVERYWHERE}{SEPARATOR}{EVERYWHERE}")
        values, total = _item_values(demand, names, data.n_items, rising=settings.rising)
        trust = total / (total + settings.prior_demand)
        trust[-1] = 1.0
        shares = top_k(values, settings.max_items_per_context)
        return cls(shares, first[:-1], trust.astype(np.float32))


def _item_values(
    demand: pa.Table, names: Sequence[str], n_items: int, *, rising: bool
) -> tuple[sparse.csr_array, np.ndarray]:
    """Return the popularity of items, (n_names, n_items), and the total demand, (n_names,).

    `names` are the context values, as context, SEPARATOR and value. The popularity is an item's
    share of the demand, or how much its demand is `rising`.
    """
    value_names = pc.binary_join_element_wise(demand["context"], demand["value"], SEPARATOR)
    row = find_positions(single_chunk(value_names), pa.array(names))
    is_known, n_rows = row >= 0, len(names)
    row, item = row[is_known], demand["item"].to_numpy()[is_known]
    usual, recent = (demand[name].to_numpy()[is_known] for name in ("demand", "recent"))
    total = np.bincount(row, usual, n_rows)
    if rising:
        recent_share = np.bincount(row, recent, n_rows) / np.maximum(total, 1e-12)
        values = compute_demand_rise(usual, recent, recent_share[row])
    else:
        values = usual / np.maximum(total, 1e-12)[row]
    cells = (values.astype(np.float32), (row, item))
    return sparse.csr_array(cells, shape=(n_rows, n_items)), total


def compute_demand(
    events: DataFrame,
    items: DataFrame,
    contexts: Sequence[str],
    weights: Mapping[str, float],
    now: int,
    half_life_days: float,
    short_half_life_days: float,
) -> DataFrame:
    """Sum decayed event weights: (context, value, item, demand, recent).

    Each item has a row per value of each of the `contexts`, which are columns of the events, and
    one for EVERYWHERE. `items` holds item_id and item. The weight of an event, `weights` of its
    type, halves with each `half_life_days` before the second `now`; in `recent` with each
    `short_half_life_days`. Events after `now` are left out.
    """
    days = (F.lit(now) - F.unix_seconds("event_ts")) / DAY
    values = [F.struct(F.lit(c).alias("context"), F.col(c).alias("value")) for c in contexts]
    values.append(F.struct(F.lit(EVERYWHERE).alias("context"), F.lit(EVERYWHERE).alias("value")))
    decayed = (
        events.where(F.col("event_type").isin(*weights) & (days >= 0))
        .join(F.broadcast(items), "item_id")
        .select(
            "item",
            (event_weight(weights) * F.pow(F.lit(2.0), -days / half_life_days)).alias("demand"),
            (event_weight(weights) * F.pow(F.lit(2.0), -days / short_half_life_days)).alias(
                "recent"
            ),
            F.explode(F.array(*values)).alias("in_context"),
        )
    )
    return (
        decayed.select("in_context.context", "in_context.value", "item", "demand", "recent")
        .where("value is not null")
        .groupBy("context", "value", "item")
        .agg(F.sum("demand").alias("demand"), F.sum("recent").alias("recent"))
    )


def compute_demand_rise(
    demand: np.ndarray, recent: np.ndarray, recent_share: np.ndarray
) -> np.ndarray:
    """Return by how many standard deviations recent demand exceeds the expected, (n,).

    Values below 0 become 0. `demand`, `recent`: (n,), as `compute_demand` sums them.
    `recent_share`: (n,), the recent demand of the same context value as a share of its demand.
    """
    expected = np.maximum(demand * recent_share, 1e-9)
    return np.maximum(recent - expected, 0) / np.sqrt(expected + 1)
