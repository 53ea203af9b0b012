"""What a user bought before and, by what others did, buys again about now."""

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.candidates.source import Requests
from profile_lib.recommend.candidates.top_k import top_k
from profile_lib.recommend.data.histories import DAY


def estimate_repeats(purchases: DataFrame, prior_share: float, prior_count: float) -> DataFrame:
    """(item, share, days): of the buyers of an item the share that bought it on a later day too,
    drawn to `prior_share` as if so many buyers more had been seen, and the median days between.

    `purchases` holds user_id, item and event_date. Items that nobody bought twice are left out.
    """
    of_user = Window.partitionBy("user_id", "item").orderBy("event_date")
    bought = purchases.select("user_id", "item", "event_date").distinct()
    gaps = bought.withColumn(
        "gap", F.datediff("event_date", F.lag("event_date").over(of_user)).cast("double")
    )
    of_item = gaps.groupBy("item").agg(
        F.countDistinct("user_id").alias("buyers"),
        F.countDistinct(F.when(F.col("gap").isNotNull(), F.col("user_id"))).alias("again"),
        F.median("gap").alias("days"),
    )
    share = (F.col("again") + prior_share * prior_count) / (F.col("buyers") + prior_count)
    return of_item.where("again > 0").select("item", share.alias("share"), "days")


@dataclass(frozen=True)
class BuyAgain:
    """`share`, `days`: (n_items,), as `estimate_repeats` tells; 0 where an item isn't bought again."""

    share: Floats
    days: Floats

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """The share times how ripe the time is: x · exp(1 - x), x the time since the last purchase
        in the item's usual days. It is highest when they are over and then falls slowly."""
        steps = requests.histories
        bought = np.flatnonzero(steps.is_bought & (self.share[steps.items] > 0))
        user, item = steps.user[bought], steps.items[bought]
        order = np.lexsort((-steps.seconds[bought], item, user))
        user, item = user[order], item[order]
        is_last = np.ones(len(order), bool)
        is_last[1:] = (np.diff(user) != 0) | (np.diff(item) != 0)
        user, item = user[is_last], item[is_last]
        since = (requests.now[user] - steps.seconds[bought][order][is_last]) / DAY
        x = np.maximum(since, 0) / self.days[item]
        score = (self.share[item] * x * np.exp(1 - x)).astype(np.float32)
        return top_k(
            sparse.csr_array((score, (user, item)), shape=(steps.n_users, len(self.share))), k
        )

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """The item itself."""
        return item
