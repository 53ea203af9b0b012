"""Known events in, counts, recency and values at each cutoff out."""

from collections.abc import Iterator
from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.features.known import PAIR, all_known, in_time, pieces
from profile_lib.tables import DEPTHS, EVENT_TYPES, STEPS, WINDOWS
from profile_lib.timeline import begins_session, seconds, seconds_since_last

# What is asked when it was last: some kinds of events, every page, and the way to an order.
TIMED = ("cart", "checkout", "purchase", *(f"{s}_step" for s in STEPS), "depth")


def count_events(known: DataFrame, gap: timedelta) -> DataFrame:
    """One row a (user_key, cutoff_ts): every numeric feature that needs no catalogue.

    The session under way is the last one: it began with the last event that came more than `gap`
    after the one before it. The cart holds what was put in since the last purchase. Purchases in
    a row with one order_id, or without one and of one moment, are an order.
    """
    # First by kind and page: a few numbers of each event, then many of each pair.
    by_kind = _with_context(known, gap).groupBy(*PAIR, "event_type", "step").agg(*_by_kind())
    counted = (
        by_kind.withColumn("depth", _depth())
        .groupBy(*PAIR)
        .agg(*_counts(), *_values(), *_times(), *_depths())
    )
    since = {
        f"seconds_since_{what}": seconds(F.col("cutoff_ts"), F.col(f"last_{what}_ts"))
        for what in ("event", *TIMED)
    }
    return counted.withColumns(
        {
            **since,
            "n_in_cart": F.greatest(F.col("n_in_cart"), F.lit(0)).cast("long"),
            "cart_value": F.greatest(F.col("cart_value"), F.lit(0.0)),
            "session_seconds": seconds(F.col("cutoff_ts"), F.col("session_start_ts")),
            "days_known": seconds(F.col("cutoff_ts"), F.col("first_event_ts")) / 86400,
            "hour": F.hour("cutoff_ts"),
            "weekday": F.dayofweek("cutoff_ts"),
            "events_since_depth": F.col("n_events") - F.col("last_depth_place"),
        }
    ).drop(*[f"last_{what}_ts" for what in TIMED], "first_event_ts", "last_depth_place")


def _with_context(known: DataFrame, gap: timedelta) -> DataFrame:
    """Each known event with what only its neighbours tell."""
    since = seconds_since_last(in_time())
    is_bought = F.col("event_type") == "purchase"
    bought_ts = F.when(is_bought, F.col("event_ts"))
    order = F.when(is_bought & (pieces() > 0), F.coalesce("order_id", F.expr("string(event_ts)")))
    before = in_time().rowsBetween(Window.unboundedPreceding, -1)
    order_before = F.last("order", ignorenulls=True).over(before)
    start_ts = F.when(F.col("starts"), F.col("event_ts"))
    return (
        known.withColumn("order", order)
        .withColumns({"gap": since, "place": F.row_number().over(in_time())})
        .withColumn("opens_order", F.col("order") != F.coalesce(order_before, F.lit("")))
        .withColumn("starts", begins_session(F.col("gap"), gap))
        .withColumns(
            {
                "last_purchase_ts": F.max(bought_ts).over(all_known()),
                "session_start_ts": F.max(start_ts).over(all_known()),
                "last_place": F.max("place").over(all_known()),
            }
        )
    )


def _by_kind() -> Iterator[Column]:
    """What is kept of all events of one kind at a cutoff."""
    worth = F.col("price") * pieces()
    kind = F.col("event_type")
    is_carted = F.col("last_purchase_ts").isNull() | (F.col("event_ts") > F.col("last_purchase_ts"))
    sign = F.when(kind == "cart", 1).when(kind == "uncart", -1)
    in_session = F.col("event_ts") >= F.col("session_start_ts")
    for window, days in WINDOWS.items():
        yield F.count_if(_within(days)).alias(window)
    yield F.count("*").alias("n")
    yield F.count_if("starts").alias("n_starts")
    yield F.count_if("opens_order").alias("n_opens")
    yield F.sum(F.when(is_carted, sign * pieces())).alias("pieces_in_cart")
    yield F.sum(F.when(is_carted, sign * worth)).alias("worth_in_cart")
    yield F.sum(worth).alias("worth")
    yield F.sum("price").alias("prices")
    yield F.count("price").alias("n_priced")
    yield F.sum("rating").alias("ratings")
    yield F.count("rating").alias("n_rated")
    yield F.sum(F.when(in_session, F.col("dwell_seconds"))).alias("dwell")
    yield F.sum(F.when(F.col("place") == F.col("last_place"), F.col("gap"))).alias("last_gap")
    yield F.min("event_ts").alias("first_ts")
    yield F.max("event_ts").alias("last_ts")
    yield F.max("session_start_ts").alias("session_start_ts")
    yield F.max("place").alias("latest_place")
    yield F.bool_or(is_carted).alias("is_after_purchase")
    yield F.max(F.when(F.col("price").isNotNull(), F.struct("event_ts", "price"))).alias("priced")
    yield F.max(F.when(in_session, F.col("price"))).alias("max_price_session")


def _depth() -> Column:
    """The place in DEPTHS, from 1, of events of a kind on a page; 0 for those not on the way."""
    names = F.array(*map(F.lit, DEPTHS))
    kind = F.col("event_type")
    of_kind = F.when(kind == "checkout", "basket").when(kind == "purchase", "done").otherwise(kind)
    of_page = F.coalesce("step", F.lit(""))
    return F.greatest(*[F.array_position(names, n) for n in (of_kind, of_page)]).cast("int")


def _within(days: int | None) -> Column:
    if days is None:
        return F.col("event_ts") >= F.col("session_start_ts")
    return F.col("event_ts") >= F.col("cutoff_ts") - F.expr(f"INTERVAL {days} DAYS")


def _of(kind: str, column: str) -> Column:
    return F.when(F.col("event_type") == kind, F.col(column))


def _counts() -> Iterator[Column]:
    for kind in EVENT_TYPES:
        for window in WINDOWS:
            yield _total(_of(kind, window), 0).alias(f"n_{kind}_{window}")
        yield _total(_of(kind, "n"), 0).alias(f"n_{kind}")
    for step in STEPS:
        is_there = F.col("step") == step
        yield _total(F.when(is_there, F.col("session")), 0).alias(f"n_{step}_step_session")
        yield _total(F.when(is_there, F.col("n")), 0).alias(f"n_{step}_step")
    yield F.sum("n").alias("n_events")
    yield F.sum("n_starts").alias("n_sessions")
    yield F.sum("n_opens").alias("n_orders")


def _values() -> Iterator[Column]:
    yield _total(F.col("pieces_in_cart"), 0).alias("n_in_cart")
    yield F.sum("worth_in_cart").alias("cart_value")
    yield _total(_of("purchase", "worth"), 0.0).alias("order_value")
    yield _mean("prices", "n_priced").alias("mean_price")
    yield _mean("ratings", "n_rated").alias("rating")
    yield _total(F.col("dwell"), 0.0).alias("session_dwell_seconds")
    yield _total(F.col("last_gap"), 0.0).alias("last_gap_seconds")
    is_seen = F.col("event_type").isin("view", "click")
    yield F.max(F.when(is_seen, F.col("priced")))["price"].alias("last_seen_price")
    yield F.max(_of("cart", "priced"))["price"].alias("last_added_price")
    yield F.max("max_price_session").alias("max_price_session")


def _times() -> Iterator[Column]:
    yield F.min("first_ts").alias("first_event_ts")
    yield F.max("last_ts").alias("last_event_ts")
    yield F.max("session_start_ts").alias("session_start_ts")
    for kind in ("cart", "checkout", "purchase"):
        yield F.max(_of(kind, "last_ts")).alias(f"last_{kind}_ts")
    for step in STEPS:
        on_page = F.when(F.col("step") == step, F.col("last_ts"))
        yield F.max(on_page).alias(f"last_{step}_step_ts")


def _depths() -> Iterator[Column]:
    depth, place = F.col("depth"), F.col("latest_place")
    is_on_way = depth > 0
    yield F.max(depth).alias("depth")
    yield F.max(F.when(F.col("session") > 0, depth).otherwise(0)).alias("depth_session")
    is_new = F.col("is_after_purchase")
    yield F.max(F.when(is_new, depth).otherwise(0)).alias("depth_since_purchase")
    latest = F.max(F.when(is_on_way, F.struct(place, depth)))["depth"]
    yield F.coalesce(latest, F.lit(0)).alias("depth_last")
    yield F.max(F.when(is_on_way, place)).alias("last_depth_place")
    yield F.max(F.when(is_on_way, F.col("last_ts"))).alias("last_depth_ts")


def _mean(total: str, n: str) -> Column:
    return F.try_divide(F.sum(total), F.sum(n))


def _total(values: Column, none: float) -> Column:
    return F.coalesce(F.sum(values), F.lit(none))
