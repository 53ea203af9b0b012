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


def labels(pairs: Candidates, wanted: Wanted, negatives: int, seed: Sequence[int]) -> Labels:
    """What became of the candidates. Of a user's that were not met about `negatives` are drawn,
    which stand for all of them; a user who met none of the candidates tells nothing."""
    n_items = int(max(pairs.item.max(initial=0), wanted.item.max(initial=0))) + 1
    keys = pairs.user * n_items + pairs.item
    found = wanted.user * n_items + wanted.item
    is_met = np.isin(keys, found)
    is_bought = np.isin(keys, found[wanted.gain >= BOUGHT])
    n_users = int(pairs.user.max(initial=-1)) + 1
    n_others = np.bincount(pairs.user[~is_met], minlength=n_users)
    share = np.minimum(1.0, negatives / np.maximum(n_others, 1))[pairs.user]
    draw = np.random.default_rng(seed).random(len(keys))
    tells = np.bincount(pairs.user[is_met], minlength=n_users)[pairs.user] > 0
    weight = np.where(is_met, 1.0, np.where(draw < share, 1 / share, 0.0)) * tells
    return Labels(is_met.astype(np.int64), is_bought.astype(np.int64), weight)
