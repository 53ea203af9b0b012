"""Feedback in, a ranker's training rows out, freed from what slots do to clicks."""

from collections.abc import Mapping

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from profile_lib.arrays.types import Floats, Integers
from profile_lib.errors import InputError

BOUGHT, CARTED, CLICKED = 3, 2, 1  # labels; shown alone is 0
MAX_ITERATIONS, TOLERANCE = 10_000, 1e-6  # of the fit, and what moves less is there


def label_impressions(
    feedback: DataFrame, examination: Mapping[int, float], max_weight: float
) -> DataFrame:
    """One row a complete impression: its ids, slot, query, shown_ts (known is what came before),
    `label` (3 bought, 2 in the cart, 1 clicked, else 0) and `weight`.

    Of a positive label the weight is one over the slot's `examination`, at most `max_weight`: a
    click where few look stands for more (Joachims, Swaminathan & Schnabel 2017); others weigh 1.
    Raises InputError where a slot has no examination.
    """
    done = feedback.where("is_complete")
    slots = {row["slot"] for row in done.select("slot").distinct().collect()}
    if unknown := sorted(slots - set(examination)):
        raise InputError(f"feedback: no examination is known of slots {unknown}; leave them out")
    weights = [
        F.lit(part)
        for slot, share in examination.items()
        for part in (slot, min(1 / share, max_weight) if share > 0 else float(max_weight))
    ]
    label = F.when(F.col("is_bought"), BOUGHT).when(F.col("is_carted"), CARTED)
    label = label.when(F.col("is_clicked"), CLICKED).otherwise(0)
    told = ("impression_id", "request_id", "user_id", "item_id", "slot", "shown_ts", "query")
    weight = F.when(label > 0, F.create_map(*weights)[F.col("slot")]).otherwise(1.0)
    return done.select(*told, label.alias("label"), weight.alias("weight"))


def count_clicks_per_slot(feedback: DataFrame) -> DataFrame:
    """(item_id, slot, n_impressions, n_clicked) of items that were clicked and shown in several slots.

    Other items tell nothing of slots. An impression counts by one over its propensity, as if items
    had come into slots by chance alone: else slots that are filled with what a user likes seem to
    be looked at more. Where it is not known it counts once.
    """
    times = F.coalesce(F.try_divide(F.lit(1.0), F.col("propensity")), F.lit(1.0))
    of_item = Window.partitionBy("item_id")
    return (
        feedback.where("is_complete")
        .groupBy("item_id", "slot")
        .agg(
            F.sum(times).alias("n_impressions"),
            F.sum(F.when(F.col("is_clicked"), times).otherwise(0.0)).alias("n_clicked"),
        )
        .withColumn("n_slots", F.count("*").over(of_item))
        .withColumn("n_ever", F.sum("n_clicked").over(of_item))
        .where("n_slots > 1 AND n_ever > 0")
        .select("item_id", "slot", "n_impressions", "n_clicked")
    )


def fit_examination(
    item: Integers, slot: Integers, n_impressions: Floats, n_clicked: Floats
) -> dict[int, float]:
    """How much slots are looked at, 1 the most: of each pair of item and slot how often it was
    shown and clicked, (n,).

    The position-based model (Richardson et al. 2007): an item is clicked where its slot is looked
    at and it appeals, both independent. Fitted by turns until the clicks expected of each slot and
    of each item are those seen, the maximum of the Poisson likelihood: with expectations of this
    form it finds them whatever clicks are distributed by (Gourieroux et al. 1984), and needs no
    probabilities up to 1, as EM does. Raises InputError where items do not link all slots.
    """
    slots, of_slot = np.unique(slot, return_inverse=True)
    items, of_item = np.unique(item, return_inverse=True)
    _check_linked(slots, of_slot, of_item, len(items))
    of_each = np.bincount(of_slot, n_clicked), np.bincount(of_item, n_clicked)
    looked = np.ones(len(slots))
    for _ in range(MAX_ITERATIONS):
        appeal = of_each[1] / np.bincount(of_item, n_impressions * looked[of_slot])
        found = of_each[0] / np.bincount(of_slot, n_impressions * appeal[of_item])
        found /= found.max()
        moved, looked = np.abs(found - looked).max(), found
        if moved < TOLERANCE:
            return {int(s): float(share) for s, share in zip(slots, looked, strict=True)}
    raise InputError(
        f"feedback: how much slots are looked at moved by {moved:.1g} in the last of {MAX_ITERATIONS} "
        "rounds; too few items were shown in several slots: log with more exploration"
    )


def _check_linked(slots: Integers, of_slot: Integers, of_item: Integers, n_items: int) -> None:
    n = len(slots) + n_items
    links = sparse.coo_array((np.ones(len(of_slot)), (of_slot, len(slots) + of_item)), (n, n))
    n_parts, part = connected_components(links, directed=False)
    if n_parts != 1:
        linked = slots[part[: len(slots)] == part[:1]].tolist()
        raise InputError(
            f"feedback: clicked items link slots {linked}, wanted {slots.tolist()}: one that was "
            "shown here and there in each; log with more exploration"
        )
