"""Cutoffs and events in; what was met after each of them, and rows to learn a ranking from, out."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.recommend.candidates import Candidates
from profile_lib.recommend.histories import PURCHASE
from profile_lib.recommend.wanted import BOUGHT, MET, Wanted
from profile_lib.segments import Floats, Longs


def met_after(
    cutoffs: DataFrame,
    events: DataFrame,
    items: DataFrame,
    kinds: Sequence[str],
    horizon: timedelta,
) -> DataFrame:
    """(user_id, cutoff_ts, wanted, gains) of each of the `cutoffs` (user_id, cutoff_ts) after which
    the user met an item within the `horizon`: the numbers of these items in the order in which they
    were met first, and of each the gain MET, or BOUGHT where it was bought.

    `items` holds item_id and item; only events of these `kinds` meet an item.
    """
    acts = events.where(F.col("event_type").isin(*kinds)).join(F.broadcast(items), "item_id")
    until = F.col("cutoff_ts") + F.make_interval(secs=F.lit(horizon.total_seconds()))
    after = acts.join(cutoffs.select("user_id", "cutoff_ts"), "user_id").where(
        (F.col("event_ts") >= F.col("cutoff_ts")) & (F.col("event_ts") < until)
    )
    of_item = after.groupBy("user_id", "cutoff_ts", "item").agg(
        F.min("event_ts").alias("at"),
        F.max(F.when(F.col("event_type") == PURCHASE, BOUGHT).otherwise(MET)).alias("gain"),
    )
    acts_of = F.array_sort(F.collect_list(F.struct("at", "item", "gain")))
    found = of_item.groupBy("user_id", "cutoff_ts").agg(acts_of.alias("acts"))
    return found.select(
        "user_id",
        "cutoff_ts",
        F.col("acts.item").alias("wanted"),
        F.col("acts.gain").cast("array<float>").alias("gains"),
    )


class Labels(NamedTuple):
    """Of m candidates whether each was met and bought afterwards, (m,) 0 or 1, and its `weight`:
    how many candidates it stands for, 0 where another stands for it."""

    is_met: Longs
    is_bought: Longs
    weight: Floats


def labels(pairs: Candidates, wanted: Wanted, negatives: Floats, draw: Floats) -> Labels:
    """What became of the candidates. Of a user's that were not met about `negatives`, (n users,),
    are taken, those of a `draw`, (m,) from 0 to 1, that is low enough; they stand for all of them.
    A user who met none of the candidates tells nothing."""
    is_met = pairs.are_in(wanted.user, wanted.item)
    bought = wanted.gain >= BOUGHT
    is_bought = pairs.are_in(wanted.user[bought], wanted.item[bought])
    n_others = np.bincount(pairs.user[~is_met], minlength=len(negatives))
    share = np.minimum(1.0, negatives / np.maximum(n_others, 1))[pairs.user]
    stands_for = np.where(draw < share, 1 / np.maximum(share, 1e-12), 0.0)
    tells = np.bincount(pairs.user[is_met], minlength=len(negatives))[pairs.user] > 0
    weight = np.where(tells, np.where(is_met, 1.0, stands_for), 0.0)
    return Labels(is_met.astype(np.int64), is_bought.astype(np.int64), weight)
