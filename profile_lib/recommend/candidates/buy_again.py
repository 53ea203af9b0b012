"""Propose items that a user bought before and may need again about now."""

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import differs_from_previous
from profile_lib.arrays.types import Floats, Longs
from profile_lib.config.section import Amount, Section, Share
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.top_k import top_k
from profile_lib.recommend.candidates.source import CandidateSource, Need, SourceData
from profile_lib.recommend.data.histories import DAY, PURCHASE
from profile_lib.recommend.data.requests import Requests


class BuyAgainSettings(Section):
    """How the share of buyers who buy an item again is smoothed."""

    prior_share: Share  # share of repeat buyers among the added buyers
    prior_count: Amount  # buyers added to those of each item


@candidate_source("buy_again", BuyAgainSettings)
@dataclass(frozen=True)
class BuyAgain(CandidateSource):
    """Items to buy again, by `share` and `days` of `estimate_repeats`, (n_items,).

    An item whose share is 0 is never proposed.
    """

    share: Floats
    days: Floats

    needs = frozenset({Need.EVENTS})
    default_reason = "you bought it before"

    @classmethod
    def fit(cls, data: SourceData, settings: BuyAgainSettings) -> "BuyAgain":
        """Fit by `estimate_repeats`."""
        assert data.events is not None
        assert data.items is not None
        is_purchase = F.col("event_type") == PURCHASE
        purchases = data.events.where(is_purchase).join(F.broadcast(data.items), "item_id")
        repeats = estimate_repeats(purchases, settings.prior_share, settings.prior_count).toArrow()
        share, days = np.zeros(data.n_items, np.float32), np.ones(data.n_items, np.float32)
        share[repeats["item"].to_numpy()] = repeats["share"].to_numpy()
        days[repeats["item"].to_numpy()] = repeats["days"].to_numpy()
        return cls(share, days)

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the scores share · x · exp(1 - x) of items bought before.

        x is the time since the purchase, relative to the item's usual `days`. The score is highest
        when the usual days have passed, and then falls slowly.
        """
        steps = requests.histories
        bought = np.flatnonzero(steps.is_bought & (self.share[steps.items] > 0))
        user, item, second = steps.user[bought], steps.items[bought], steps.seconds[bought]
        order = np.lexsort((-second, item, user))
        user, item, second = user[order], item[order], second[order]
        is_last = differs_from_previous(user, item)
        user, item = user[is_last], item[is_last]
        days_since = (requests.now[user] - second[is_last]) / DAY
        x = np.maximum(days_since, 0) / self.days[item]
        score = (self.share[item] * x * np.exp(1 - x)).astype(np.float32)
        shape = (steps.n_users, len(self.share))
        return top_k(sparse.csr_array((score, (user, item)), shape=shape), k)

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """Return the item itself."""
        return item


def estimate_repeats(purchases: DataFrame, prior_share: float, prior_count: float) -> DataFrame:
    """Estimate the share of buyers who repeat a purchase, and the days until then.

    Returns (item, share, days) of the items that someone bought on more than one day. `purchases`
    holds user_id, item and local_date. `share`: the share of an item's buyers who bought it on a
    later day too, smoothed by `prior_count` more buyers with `prior_share`. `days`: the median
    number of days between two purchases.
    """
    by_date = Window.partitionBy("user_id", "item").orderBy("local_date")
    days = purchases.select("user_id", "item", "local_date").distinct()
    gaps = days.withColumn(
        "gap", F.datediff("local_date", F.lag("local_date").over(by_date)).cast("double")
    )
    per_item = gaps.groupBy("item").agg(
        F.countDistinct("user_id").alias("buyers"),
        F.countDistinct(F.when(F.col("gap").isNotNull(), F.col("user_id"))).alias("repeaters"),
        F.median("gap").alias("days"),
    )
    share = (F.col("repeaters") + prior_share * prior_count) / (F.col("buyers") + prior_count)
    return per_item.where("repeaters > 0").select("item", share.alias("share"), "days")
