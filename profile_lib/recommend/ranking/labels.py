"""Cutoffs and events in; what was met after each of them, and rows to learn a ranking from, out."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.candidates.candidate_set import Candidates
from profile_lib.recommend.data.histories import PURCHASE
from profile_lib.recommend.evaluation.relevant_items import BOUGHT, INTERACTED, RelevantItems


def find_later_interactions(
    cutoffs: DataFrame,
    events: DataFrame,
    items: DataFrame,
    event_types: Sequence[str],
    horizon: timedelta,
) -> DataFrame:
    """(user_id, cutoff_ts, relevant, relevance) of each of the `cutoffs` (user_id, cutoff_ts) after which
    the user met an item within the `horizon`: the numbers of these items in the order in which they
    were met first, and of each the gain INTERACTED, or BOUGHT where it was bought.

    `items` holds item_id and item; only events of these `event_types` meet an item.
    """
    acts = events.where(F.col("event_type").isin(*event_types)).join(F.broadcast(items), "item_id")
    until = F.col("cutoff_ts") + F.make_interval(secs=F.lit(horizon.total_seconds()))
    after = acts.join(cutoffs.select("user_id", "cutoff_ts"), "user_id").where(
        (F.col("event_ts") >= F.col("cutoff_ts")) & (F.col("event_ts") < until)
    )
    of_item = after.groupBy("user_id", "cutoff_ts", "item").agg(
        F.min("event_ts").alias("at"),
        F.max(F.when(F.col("event_type") == PURCHASE, BOUGHT).otherwise(INTERACTED)).alias("gain"),
    )
    acts_of = F.array_sort(F.collect_list(F.struct("at", "item", "gain")))
    found = of_item.groupBy("user_id", "cutoff_ts").agg(acts_of.alias("acts"))
    return found.select(
        "user_id",
        "cutoff_ts",
        F.col("acts.item").alias("relevant"),
        F.col("acts.gain").cast("array<float>").alias("relevance"),
    )


class CandidateLabels(NamedTuple):
    """Of m candidates whether each was met and bought afterwards, (m,) 0 or 1, and its `weight`:
    how many candidates it stands for, 0 where another stands for it."""

    is_interacted: Longs
    is_bought: Longs
    weight: Floats


def label_candidates(
    pairs: Candidates, relevant: RelevantItems, negatives: Floats, draw: Floats
) -> CandidateLabels:
    """What became of the candidates. Of a user's that were not met about `negatives`, (n users,),
    are taken, those of a `draw`, (m,) from 0 to 1, that is low enough; they stand for all of them.
    A user who met none of the candidates tells nothing."""
    is_interacted = pairs.isin(relevant.user, relevant.item)
    bought = relevant.relevance >= BOUGHT
    is_bought = pairs.isin(relevant.user[bought], relevant.item[bought])
    n_others = np.bincount(pairs.user[~is_interacted], minlength=len(negatives))
    share = np.minimum(1.0, negatives / np.maximum(n_others, 1))[pairs.user]
    stands_for = np.where(draw < share, 1 / np.maximum(share, 1e-12), 0.0)
    tells = np.bincount(pairs.user[is_interacted], minlength=len(negatives))[pairs.user] > 0
    weight = np.where(tells, np.where(is_interacted, 1.0, stands_for), 0.0)
    return CandidateLabels(is_interacted.astype(np.int64), is_bought.astype(np.int64), weight)
