"""Score users by recency, frequency and monetary value, and name their segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

QUINTILES = (0.2, 0.4, 0.6, 0.8)
PERCENTILE_ACCURACY = 10_000  # the relative error of a rank is at most 1 in this number
MICROSECONDS_PER_DAY = 86_400_000_000
PROSPECTS = "Prospects"
# One row per recency score, from 5 down to 1; one column per frequency score, from 1 up to 5.
RFM_SEGMENT_GRID = (
    ("New Customers", *["Potential Loyalists"] * 2, *["Champions"] * 2),
    ("Promising", *["Potential Loyalists"] * 2, *["Loyal Customers"] * 2),
    (*["About To Sleep"] * 2, "Need Attention", *["Loyal Customers"] * 2),
    (*["Hibernating"] * 2, *["At Risk"] * 2, "Can't Lose Them"),
    (*["Lost"] * 2, *["At Risk"] * 2, "Can't Lose Them"),
)


@dataclass(frozen=True)
class QuintileCuts:
    """The cuts between the quintiles of buyers, lowest first; empty if there is no buyer."""

    recency_days: Sequence[float]
    n_orders: Sequence[float]
    order_value: Sequence[float]


def recency_days(as_of: datetime) -> Column:
    """Return the days from a profile's last event to `as_of`.

    They are negative if the profile knows later events.
    """
    micros = F.unix_micros(F.lit(as_of)) - F.unix_micros("last_event_ts")
    return (micros / MICROSECONDS_PER_DAY).alias("recency_days")


def find_quintile_cuts(profiles: DataFrame, as_of: datetime) -> QuintileCuts:
    """Find the cuts between the quintiles of the buyers: users with an order."""
    buyers = profiles.where("n_orders > 0").select(recency_days(as_of), "n_orders", "order_value")
    percentiles = buyers.agg(
        *[
            F.percentile_approx(name, list(QUINTILES), PERCENTILE_ACCURACY).alias(name)
            for name in buyers.columns
        ]
    )
    row = percentiles.collect()[0].asDict()
    return QuintileCuts(**{name: cuts or () for name, cuts in row.items()})


def quintile(value: Column, cuts: Sequence[float]) -> Column:
    """Return the quintile of a value, from 1 for the lowest to 5.

    Equal values are in the same quintile: the lowest that one of them falls into.

    >>> orders = spark.createDataFrame([(1,), (1,), (2,), (9,)], "n long")
    >>> [row.f for row in orders.select(quintile(F.col("n"), (1, 1, 1, 2)).alias("f")).collect()]
    [1, 1, 4, 5]
    """
    return sum(((value > cut).cast("int") for cut in cuts), F.lit(1))


def rfm_segment(recency_score: Column, frequency_score: Column) -> Column:
    """Look up the segment of two scores in RFM_SEGMENT_GRID; PROSPECTS if they are null."""
    names = F.array(*[F.lit(name) for row in RFM_SEGMENT_GRID for name in row])
    index = (5 - recency_score) * 5 + frequency_score - 1
    return F.coalesce(F.get(names, index), F.lit(PROSPECTS))


def score_rfm(profiles: DataFrame, cuts: QuintileCuts, as_of: datetime) -> DataFrame:
    """Return `user_id`, `recency_days`, three scores and `rfm_segment` of each user.

    A user without an order has no scores. If most buyers ordered once, they share a quintile, and
    one more order already gives a high score.
    """
    days = recency_days(as_of)
    is_buyer = F.col("n_orders") > 0
    scores = {
        "recency_score": 6 - quintile(days, cuts.recency_days),
        "frequency_score": quintile(F.col("n_orders"), cuts.n_orders),
        "monetary_score": quintile(F.col("order_value"), cuts.order_value),
    }
    scored = profiles.select(
        "user_id", days, *[F.when(is_buyer, score).alias(name) for name, score in scores.items()]
    )
    name = rfm_segment(F.col("recency_score"), F.col("frequency_score"))
    return scored.withColumn("rfm_segment", name)
