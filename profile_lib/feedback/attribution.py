"""Attribute clicks, carts and purchases to impressions: the table `feedback`."""

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.tables import FEEDBACK
from profile_lib.tables.feedback import IMPRESSION_COLUMNS

# The order of actions at the same moment; then they are ordered as in EVENT_ORDER.
IMPRESSION, CLICK, CART, PURCHASE, RETURN = range(5)
IMPRESSION_COLUMN_NAMES = [c.name for c in IMPRESSION_COLUMNS]


def build_feedback(
    impressions: DataFrame,
    events: DataFrame,
    *,
    window: timedelta,
    click_types: Sequence[str],
    as_of: datetime,
) -> DataFrame:
    """Build the outcome of each impression, as the table `feedback` declares it.

    An event can be credited to impressions of the same user and item that are less than `window`
    old. A click is credited to the last impression. A cart event or a purchase is credited to the
    last clicked impression, whose click led to it, or to the last impression if none was clicked.
    A return takes its value from the revenue of the impression that the last purchase was credited
    to, if that is less than `window` old; the impression still counts as bought. `click_types` are
    the event types that count as clicks. An impression is complete if its window ends by `as_of`,
    the time until which all events are known. One shuffle, by user and item, is needed.
    """
    credited = _attribute_rows(
        _impression_rows(impressions).unionByName(_event_rows(events, click_types), True), window
    )
    action = F.col("action")
    outcomes = credited.groupBy("user_id", "item_id", "credited_impression.impression_id").agg(
        F.first("impression", ignorenulls=True).alias("impression"),
        F.bool_or(action == CLICK).alias("is_clicked"),
        F.bool_or(action == CART).alias("is_carted"),
        F.bool_or(action == PURCHASE).alias("is_bought"),
        # Revenue is a decimal, so that its sum does not depend on the order of the rows.
        F.coalesce(F.sum("revenue").cast("double"), F.lit(0.0)).alias("revenue"),
        F.min(F.when(action == CLICK, F.col("ts"))).alias("clicked_ts"),
    )
    is_complete = F.col("impression.shown_ts") + F.lit(window) <= F.lit(as_of)
    return outcomes.withColumn("is_complete", is_complete).select(
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
    action = (
        F.when(kind.isin(*click_types), CLICK)
        .when(kind == "cart", CART)
        .when(kind == "purchase", PURCHASE)
        .when(kind == "return", RETURN)
    )
    price, quantity = (F.col(name).cast("decimal(18, 6)") for name in ("price", "quantity"))
    value = price * F.coalesce(quantity, F.lit(1))
    revenue = F.when(action == PURCHASE, value).when(action == RETURN, -value)
    return events.select(
        "user_id",
        "item_id",
        F.col("event_ts").alias("ts"),
        action.alias("action"),
        "sequence",
        F.col("event_id").alias("id"),
        revenue.alias("revenue"),
    ).where("action IS NOT NULL AND item_id IS NOT NULL")


def _attribute_rows(rows: DataFrame, window: timedelta) -> DataFrame:
    """Add `credited_impression`, and drop rows without one.

    The row of an impression is credited to itself.
    """
    until_now = (
        Window.partitionBy("user_id", "item_id")
        .orderBy("ts", "action", "sequence", "id")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )

    def last(name: str) -> Column:
        return F.last(name, ignorenulls=True).over(until_now)

    def if_in_window(name: str) -> Column:
        return F.when(F.col(f"{name}.shown_ts") + F.lit(window) > F.col("ts"), F.col(name))

    action = F.col("action")
    led_to_event = F.coalesce(
        if_in_window("last_clicked_impression"), if_in_window("last_impression")
    )
    credited = (
        F.when(action == IMPRESSION, F.col("impression_key"))
        .when(action == RETURN, if_in_window("last_bought_impression"))
        .otherwise(F.col("led_to_event"))
    )
    return (
        rows.withColumn("last_impression", last("impression_key"))
        .withColumn("clicked_impression", F.when(action == CLICK, if_in_window("last_impression")))
        .withColumn("last_clicked_impression", last("clicked_impression"))
        .withColumn("led_to_event", led_to_event)
        .withColumn("bought_impression", F.when(action == PURCHASE, F.col("led_to_event")))
        .withColumn("last_bought_impression", last("bought_impression"))
        .withColumn("credited_impression", credited)
        .where("credited_impression IS NOT NULL")
    )


def check_impressions(impressions: DataFrame) -> None:
    """Raise InputError if impressions are invalid.

    Each id must have one content, each slot be at least 1, and each propensity be null or in (0,
    1].
    """
    content = F.xxhash64(*IMPRESSION_COLUMN_NAMES)
    is_probability = (F.col("propensity") > 0) & (F.col("propensity") <= 1)  # false for NaN
    rules = {
        "stand for impressions of different content": F.min(content) != F.max(content),
        "have a slot below 1": F.min("slot") < 1,
        "have a propensity that is not above 0 and at most 1": ~F.bool_and(
            F.coalesce(is_probability, F.lit(True))
        ),
    }
    broken = impressions.groupBy("impression_id").agg(
        *(is_broken.alias(problem) for problem, is_broken in rules.items())
    )
    counts_and_examples = [
        column
        for problem in rules
        for column in (F.count_if(problem), F.min(F.when(F.col(problem), F.col("impression_id"))))
    ]
    row = broken.agg(*counts_and_examples).collect()[0]
    problems = [
        f"{row[2 * n]} ids {problem}, such as {row[2 * n + 1]!r}"
        for n, problem in enumerate(rules)
        if row[2 * n]
    ]
    if problems:
        raise InputError(f"impressions: {'; '.join(problems)}; fix or remove these rows")


def days_within_window(days: Iterable[date], window: timedelta) -> set[date]:
    """Return the days within `window` of any of `days`.

    The window is rounded up to whole days. Rows that arrive for a day can only change the feedback
    of these days, and the feedback of a day depends only on the impressions and events of these
    days.
    """
    n_days = math.ceil(window / timedelta(days=1))
    return {day + timedelta(days=n) for day in days for n in range(-n_days, n_days + 1)}
