"""Label candidates by the interactions that follow a cutoff."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.candidates.candidate_set import Candidates
from profile_lib.recommend.data.histories import PURCHASE
from profile_lib.recommend.data.relevant_items import BOUGHT, INTERACTED, RelevantItems
from profile_lib.spark.timestamps import happened_time
from profile_lib.tables.events import EVENT_ORDER


def find_later_interactions(
    cutoffs: DataFrame,
    events: DataFrame,
    items: DataFrame,
    event_types: Sequence[str],
    horizon: timedelta,
) -> DataFrame:
    """Find the items of interactions within the `horizon` after each cutoff.

    `cutoffs` holds user_id and cutoff_ts, `items` item_id and item; only events of these
    `event_types` that had not arrived at the cutoff are interactions. The result, (user_id,
    cutoff_ts, relevant, relevance), has a row per cutoff with interactions: the item numbers in the
    order of their first interactions, and the relevance of each, INTERACTED or BOUGHT.
    """
    is_interaction = F.col("event_type").isin(*event_types)
    interactions = events.where(is_interaction).join(F.broadcast(items), "item_id")
    until = F.col("cutoff_ts") + F.make_interval(secs=F.lit(horizon.total_seconds()))
    after = interactions.join(cutoffs.select("user_id", "cutoff_ts"), "user_id").where(
        (happened_time() >= F.col("cutoff_ts")) & (F.col("event_ts") < until)
    )
    relevance = F.when(F.col("event_type") == PURCHASE, BOUGHT).otherwise(INTERACTED)
    per_item = after.groupBy("user_id", "cutoff_ts", "item").agg(
        F.min(F.struct(*EVENT_ORDER)).alias("first_event"), F.max(relevance).alias("relevance")
    )
    in_order = F.array_sort(F.collect_list(F.struct("first_event", "item", "relevance")))
    return (
        per_item.groupBy("user_id", "cutoff_ts")
        .agg(in_order.alias("later"))
        .select(
            "user_id",
            "cutoff_ts",
            F.col("later.item").alias("relevant"),
            F.col("later.relevance").cast("array<float>").alias("relevance"),
        )
    )


class CandidateLabels(NamedTuple):
    """The labels of m candidates and their sampling weights.

    `is_interacted`, `is_bought`: 1 if the user interacted with the item or bought it, else 0.
    `weight`: the number of candidates that each represents, 0 if it was not sampled.
    """

    is_interacted: Longs
    is_bought: Longs
    weight: Floats

    def where(self, is_kept: np.ndarray) -> "CandidateLabels":
        """Return the labels for which `is_kept`, (m,), is true."""
        return CandidateLabels(
            self.is_interacted[is_kept], self.is_bought[is_kept], self.weight[is_kept]
        )


def label_candidates(
    pairs: Candidates, relevant: RelevantItems, n_negatives: Floats, random_numbers: Floats
) -> CandidateLabels:
    """Label candidates, and sample those that the user did not interact with.

    About `n_negatives`, (n users,), of them are sampled per user: those with the lowest
    `random_numbers`, (m,) from 0 to 1. Their weights add up to about the number of all of them. If
    a user interacted with no candidate, all candidates of the user get weight 0.
    """
    is_interacted = pairs.isin(relevant.user, relevant.item)
    bought = relevant.relevance >= BOUGHT
    is_bought = pairs.isin(relevant.user[bought], relevant.item[bought])
    n_users = len(n_negatives)
    n_others = np.bincount(pairs.user[~is_interacted], minlength=n_users)
    share = np.minimum(1.0, n_negatives / np.maximum(n_others, 1))[pairs.user]
    is_sampled = random_numbers < share
    negative_weight = np.where(is_sampled, 1 / np.maximum(share, 1e-12), 0.0)
    n_positive = np.bincount(pairs.user[is_interacted], minlength=n_users)
    has_positive = n_positive[pairs.user] > 0
    weight = np.where(has_positive, np.where(is_interacted, 1.0, negative_weight), 0.0)
    return CandidateLabels(is_interacted.astype(np.int64), is_bought.astype(np.int64), weight)
