"""Label impressions for a ranker, corrected for the effect of slots on clicks."""

from collections.abc import Mapping

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from profile_lib.arrays.types import Floats, Integers
from profile_lib.errors import InputError

BOUGHT, CARTED, CLICKED = 3, 2, 1  # relevance labels; an impression without an outcome has 0
MAX_ITERATIONS, TOLERANCE = 10_000, 1e-6
LABELLED_COLUMNS = (
    "impression_id", "request_id", "user_id", "item_id", "slot", "shown_ts", "query"
)  # fmt: skip


def label_impressions(
    feedback: DataFrame, examination: Mapping[int, float], max_weight: float
) -> DataFrame:
    """Return each complete impression with a `label` and a `weight` for a ranker.

    The label is 3 if the item was bought, 2 if it was put in the cart, 1 if it was clicked, else
    0. `examination` maps each slot to the share of users who look at it. The weight of a positive
    label is one over that share, at most `max_weight`: a click in a slot that few look at stands
    for more clicks (Joachims, Swaminathan & Schnabel 2017). Other weights are 1. Returns
    LABELLED_COLUMNS, label and weight; a ranker may read what was known as of `shown_ts`.

    Raises InputError if the share of a slot is missing.
    """
    complete = feedback.where("is_complete")
    slots = {row["slot"] for row in complete.select("slot").distinct().collect()}
    if unknown := sorted(slots - set(examination)):
        raise InputError(
            f"feedback: found slots {unknown}, wanted slots whose examination is estimated, "
            f"{sorted(examination)}; leave out the impressions in other slots"
        )
    slot_weights = [
        F.lit(value)
        for slot, share in examination.items()
        for value in (slot, min(1 / share, max_weight) if share > 0 else float(max_weight))
    ]
    label = F.when(F.col("is_bought"), BOUGHT).when(F.col("is_carted"), CARTED)
    label = label.when(F.col("is_clicked"), CLICKED).otherwise(0)
    weight = F.when(label > 0, F.create_map(*slot_weights)[F.col("slot")]).otherwise(1.0)
    return complete.select(*LABELLED_COLUMNS, label.alias("label"), weight.alias("weight"))


def count_clicks_per_slot(feedback: DataFrame) -> DataFrame:
    """Count `n_impressions` and `n_clicked` per `item_id` and `slot`.

    Items that were never clicked, or only shown in one slot, say nothing about slots and are left
    out. An impression counts one over its propensity, as if the slots had been filled at random.
    Otherwise slots filled with items that users like would seem to be looked at more. An impression
    without a propensity counts once.
    """
    weight = F.coalesce(F.try_divide(F.lit(1.0), F.col("propensity")), F.lit(1.0))
    per_item = Window.partitionBy("item_id")
    return (
        feedback.where("is_complete")
        .groupBy("item_id", "slot")
        .agg(
            F.sum(weight).alias("n_impressions"),
            F.sum(F.when(F.col("is_clicked"), weight).otherwise(0.0)).alias("n_clicked"),
        )
        .withColumn("n_slots", F.count("*").over(per_item))
        .withColumn("n_clicked_in_all", F.sum("n_clicked").over(per_item))
        .where("n_slots > 1 AND n_clicked_in_all > 0")
        .select("item_id", "slot", "n_impressions", "n_clicked")
    )


def fit_examination(
    item: Integers, slot: Integers, n_impressions: Floats, n_clicked: Floats
) -> dict[int, float]:
    """Estimate the share of users who look at each slot.

    Shares are relative to the slot that most users look at. All arguments have shape (n,), one
    entry per item and slot. In the position-based model (Richardson et al. 2007) an item is clicked
    if its slot is looked at and the item appeals; the two are independent. The fit alternates
    between slots and items until the expected clicks of each equal the observed ones, which is the
    maximum of the Poisson likelihood. That estimate is consistent for any distribution of clicks
    (Gourieroux et al. 1984), and unlike EM it does not need probabilities of at most 1.

    Raises InputError if items do not link all slots, or if the fit does not converge.
    """
    slots, slot_code = np.unique(slot, return_inverse=True)
    items, item_code = np.unique(item, return_inverse=True)
    _check_slots_are_linked(slots, slot_code, item_code, len(items))
    slot_clicks, item_clicks = np.bincount(slot_code, n_clicked), np.bincount(item_code, n_clicked)
    examination = np.ones(len(slots))
    for _ in range(MAX_ITERATIONS):
        appeal = item_clicks / np.bincount(item_code, n_impressions * examination[slot_code])
        updated = slot_clicks / np.bincount(slot_code, n_impressions * appeal[item_code])
        updated /= updated.max()
        change, examination = np.abs(updated - examination).max(), updated
        if change < TOLERANCE:
            return {int(s): float(share) for s, share in zip(slots, examination, strict=True)}
    raise InputError(
        f"feedback: the examination of slots changed by {change:.1g} in the last of "
        f"{MAX_ITERATIONS} iterations, wanted less than {TOLERANCE:.1g}; log with more "
        "exploration, so that more items are shown in several slots"
    )


def _check_slots_are_linked(
    slots: Integers, slot_code: Integers, item_code: Integers, n_items: int
) -> None:
    """Raise InputError unless items that were shown in several slots connect all slots."""
    n = len(slots) + n_items
    nodes = (slot_code, len(slots) + item_code)
    links = sparse.coo_array((np.ones(len(slot_code)), nodes), (n, n))
    n_parts, part = connected_components(links, directed=False)
    if n_parts != 1:
        linked = slots[part[: len(slots)] == part[:1]].tolist()
        raise InputError(
            f"feedback: clicked items link only slots {linked}, wanted {slots.tolist()}; log with "
            "more exploration, so that more items are shown in several of these slots"
        )
