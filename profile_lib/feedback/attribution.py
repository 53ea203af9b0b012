"""Impressions and events in, what became of each impression out: the table `feedback`.

Knows of no days but which of them an arrival can concern.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.tables import FEEDBACK
from profile_lib.tables.feedback import IMPRESSION_COLUMNS

IMPRESSION, CLICK, CART, PURCHASE = range(4)  # at the same moment in this order
IMPRESSION_COLUMN_NAMES = [c.name for c in IMPRESSION_COLUMNS]


def build_feedback(
    impressions: DataFrame,
    events: DataFrame,
    *,
    window: timedelta,
    click_types: Sequence[str],
    as_of: datetime,
) -> DataFrame:
    """One row an impression, as `feedback` declares it; one shuffle, by user and item.

    An event of the same user and item counts from the moment of an impression until just before
    `window` has passed. A click is credited to the impression shown last; a cart or a purchase to
    the one clicked last, for its click led there, else to the one shown last. An impression is
    complete once all until the end of its window is known.
    """
    credited = _attribute_rows(
        _impression_rows(impressions).unionByName(_event_rows(events, click_types), True), window
    )
    act = F.col("action")
    told = credited.groupBy("user_id", "item_id", "credited_impression.impression_id").agg(
        F.first("impression", ignorenulls=True).alias(
            "impression"
        ),  # its own, and once if it came twice
        F.bool_or(act == CLICK).alias("is_clicked"),
        F.bool_or(act == CART).alias("is_carted"),
        F.bool_or(act == PURCHASE).alias("is_bought"),
        # Decimals add up to the same in whatever order they come.
        F.coalesce(F.sum("revenue").cast("double"), F.lit(0.0)).alias("revenue"),
        F.min(F.when(act == CLICK, F.col("ts"))).alias("clicked_ts"),
    )
    is_complete = F.col("impression.shown_ts") + F.lit(window) <= F.lit(as_of)
    return told.withColumn("is_complete", is_complete).select(
        "impression.*",
        *(name for name in FEEDBACK.column_names() if name not in IMPRESSION_COLUMN_NAMES),
    )


def _impression_rows(impressions: DataFrame) -> DataFrame:
    return impressions.select(
        "user_id",
        "item_id",
        F.col("shown_ts").alias("ts"),
        F.lit(IMPRESSION).alias("action"),
        F.col("impression_id").alias("id"),
        F.struct("shown_ts", "impression_id").alias("impression_key"),
        F.struct(*IMPRESSION_COLUMN_NAMES).alias("impression"),
    )


def _event_rows(events: DataFrame, click_types: Sequence[str]) -> DataFrame:
    kind = F.col("event_type")
    act = (
        F.when(kind.isin(*click_types), CLICK)
        .when(kind == "cart", CART)
        .when(kind == "purchase", PURCHASE)
    )
    value = F.col("price").cast("decimal(18, 6)") * F.coalesce("quantity", F.lit(1))
    return events.select(
        "user_id",
        "item_id",
        F.col("event_ts").alias("ts"),
        act.alias("action"),
        F.col("event_id").alias("id"),
        F.when(act == PURCHASE, value).alias("revenue"),
    ).where("action IS NOT NULL AND item_id IS NOT NULL")


def _attribute_rows(rows: DataFrame, window: timedelta) -> DataFrame:
    """The rows that belong to an impression, itself among them, which `credited_impression` tells."""
    in_time = (
        Window.partitionBy("user_id", "item_id")
        .orderBy("ts", "action", "id")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )

    def last(name: str) -> Column:
        return F.last(name, ignorenulls=True).over(in_time)

    def still(name: str) -> Column:  # within its window
        return F.when(F.col(f"{name}.shown_ts") + F.lit(window) > F.col("ts"), F.col(name))

    is_click, is_shown = F.col("action") == CLICK, F.col("action") == IMPRESSION
    return (
        rows.withColumn("last_impression", last("impression_key"))
        .withColumn("clicked_impression", F.when(is_click, still("last_impression")))
        .withColumn("last_clicked_impression", last("clicked_impression"))
        .withColumn(
            "credited_impression",
            F.when(is_shown, F.col("impression_key")).otherwise(
                F.coalesce(still("last_clicked_impression"), still("last_impression"))
            ),
        )
        .where("credited_impression IS NOT NULL")
    )


def check_impressions(impressions: DataFrame) -> None:
    """Raises InputError where an id stands for different impressions, or a slot or a propensity is
    none that can be."""
    content = F.xxhash64(*IMPRESSION_COLUMN_NAMES)
    is_share = (F.col("propensity") > 0) & (F.col("propensity") <= 1)  # false for NaN
    rules = {
        "stand for impressions of different content": F.min(content) != F.max(content),
        "have a slot below 1": F.min("slot") < 1,
        "have a propensity not above 0 and up to 1": ~F.bool_and(F.coalesce(is_share, F.lit(True))),
    }
    broken = impressions.groupBy("impression_id").agg(
        *(rule.alias(told) for told, rule in rules.items())
    )
    counts = [
        part
        for told in rules
        for part in (F.count_if(told), F.min(F.when(F.col(told), F.col("impression_id"))))
    ]
    found = broken.agg(*counts).collect()[0]
    problems = [
        f"{found[2 * n]} ids {told}, such as {found[2 * n + 1]!r}"
        for n, told in enumerate(rules)
        if found[2 * n]
    ]
    if problems:
        raise InputError(f"impressions: {'; '.join(problems)}; mend or remove these rows")


def days_within_window(days: Iterable[date], window: timedelta) -> set[date]:
    """The days from `window` before until `window` after something on one of these days.

    What arrives of a day can change the feedback of these alone; to tell that of a day the
    impressions and events of these are needed, no others.
    """
    reach = math.ceil(window / timedelta(days=1))
    return {day + timedelta(days=n) for day in days for n in range(-reach, reach + 1)}
