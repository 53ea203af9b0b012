"""Build compact histories: the last events of each user, and counts of the older ones.

A history is a function of the set of events alone. It is equal, cell for cell, whether the events
come at once or in batches, in whatever order: the last events of a union are among the last events
of its parts, and what is counted of the others are sums and maxima.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.spark.timestamps import known_time
from profile_lib.tables.events import EVENT_ORDER
from profile_lib.tables.histories import EXACT, PAST_COUNT, PAST_EVENT, SHORT_IDS

COUNTED = ("n_events", "pieces", "value", "last_ts")
PLACE = tuple(name for name in PAST_COUNT.names if name not in COUNTED)
DETAILS = ("item_id", "order_id", "moment")
TRADES = ("purchase", "return")
OLDER = T.ArrayType(PAST_COUNT)
HISTORY_COLUMNS = ("events", "older", "older_known_ts", "first_ts")


class HistoryLimits(NamedTuple):
    """Limit a history: events kept whole, days counted, purchases counted one by one."""

    max_events: int
    days: int
    max_purchase_lines: int


def select_past_events(events: DataFrame, *keys: str) -> DataFrame:
    """Select the columns `keys` and those of PAST_EVENT, with short ids, from rows of `events`."""
    columns = [
        F.left(F.col(name), F.lit(SHORT_IDS[name])).alias(name) if name in SHORT_IDS else name
        for name in PAST_EVENT.names
    ]
    return events.select(*keys, *columns)


def build_histories(
    events: DataFrame | None,
    limits: HistoryLimits,
    stored: DataFrame | None = None,
    keys: Sequence[str] = ("user_id",),
) -> DataFrame:
    """Build a history per key from rows of `select_past_events`: the keys and HISTORY_COLUMNS.

    `stored` holds histories of some of the keys, which the events are added to; none of the events
    may be in them. Without events, it may hold several histories of a key, which are merged. Runs
    jobs that find out whether any key has older events. Raises ValueError if there are neither
    events nor histories.
    """
    if events is not None and stored is not None:
        if _find_long_histories(events, limits.max_events, None, keys).isEmpty():
            return _add_few_events(events, limits, stored, keys)
        stored = stored.localCheckpoint()  # it is read several times
    return _build_from_events(_join_events(events, stored, keys), limits, stored, keys)


def _add_few_events(
    events: DataFrame, limits: HistoryLimits, stored: DataFrame, keys: Sequence[str]
) -> DataFrame:
    """Add at most `max_events` events per key to histories."""
    new = _collect_events(events, keys).withColumnRenamed("events", "new_events")
    both = new.join(stored.select(*keys, *HISTORY_COLUMNS), [*keys], "full_outer").localCheckpoint()
    n_events = F.size(_events_of("events")) + F.size(_events_of("new_events"))
    is_short = (n_events <= limits.max_events) & F.col("older_known_ts").isNull()
    short = both.where(is_short)
    histories = _complete_short(short.select(*keys, _append_events().alias("events")))
    long = both.where(~is_short)
    if long.isEmpty():
        return histories
    of_long = long.select(*keys, F.inline("new_events"))
    known = long.where("first_ts IS NOT NULL").select(*keys, *HISTORY_COLUMNS)
    all_events = _join_events(of_long, known, keys)
    return histories.unionByName(_build_from_events(all_events, limits, known, keys))


def _build_from_events(
    events: DataFrame, limits: HistoryLimits, stored: DataFrame | None, keys: Sequence[str]
) -> DataFrame:
    """Build histories from all events that they keep whole, and the older counts of `stored`."""
    long = _find_long_histories(events, limits.max_events, stored, keys)
    if long.isEmpty():  # so is it in small shops, for which each step takes longer than its work
        return _complete_short(_collect_events(events, keys))
    last = events.withColumn("rank", _rank_newest_first(keys))
    last_events = _collect_events(last.where(F.col("rank") <= limits.max_events), keys)
    counts = _count_older_events(events.join(long, [*keys], "left_semi"), limits, stored, keys)
    history = last_events.join(counts, [*keys], "left")
    first_event, last_event = F.element_at("events", 1), F.element_at("events", -1)
    last_day = F.to_date(last_event["event_ts"])
    return history.select(
        *keys,
        "events",
        F.filter(
            F.coalesce("older", F.array().cast(OLDER)),
            lambda count: count["day"] > last_day - F.lit(limits.days),
        ).alias("older"),
        "older_known_ts",
        F.least(first_event["event_ts"], "older_first_ts").alias("first_ts"),
    )


def _complete_short(histories: DataFrame) -> DataFrame:
    """Add the columns of histories without older events."""
    return histories.withColumns(
        {
            "older": F.array().cast(OLDER),
            "older_known_ts": F.lit(None).cast("timestamp"),
            "first_ts": F.element_at("events", 1)["event_ts"],
        }
    )


def _append_events() -> Column:
    """Return `events` with `new_events`, oldest first; both are in order."""
    old, new = _events_of("events"), _events_of("new_events")
    joined = F.concat(old, new)
    last, first = F.try_element_at(old, F.lit(-1)), F.get(new, F.lit(0))
    is_later = last.isNull() | first.isNull() | (_order_of(last) < _order_of(first))
    keyed = F.transform(joined, lambda event: F.struct(_order_of(event), event.alias("event")))
    return F.when(is_later, joined).otherwise(
        F.transform(F.array_sort(keyed), lambda entry: entry["event"])
    )


def _events_of(name: str) -> Column:
    """Return a list of events, empty instead of null."""
    return F.coalesce(name, F.array().cast(T.ArrayType(PAST_EVENT)))


def _order_of(event: Column) -> Column:
    return F.struct(*(event[name] for name in EVENT_ORDER)).alias("order")


def unfold_events(histories: DataFrame, keys: Sequence[str] = ("user_id",)) -> DataFrame:
    """Return the last events of histories, one per row: the keys and those of PAST_EVENT."""
    return histories.select(*keys, F.inline("events"))


def _join_events(
    events: DataFrame | None, stored: DataFrame | None, keys: Sequence[str]
) -> DataFrame:
    if stored is None:
        if events is None:
            raise ValueError("found neither events nor histories")
        return events
    last = unfold_events(stored, keys)
    return last if events is None else events.unionByName(last)


def _find_long_histories(
    events: DataFrame, max_events: int, stored: DataFrame | None, keys: Sequence[str]
) -> DataFrame:
    """Return the keys with more events than a history keeps whole."""
    counts = events.groupBy(*keys).agg(F.count("*").alias("n"))
    long = counts.where(F.col("n") > max_events).select(*keys)
    if stored is None:
        return long
    return long.union(stored.where("older_known_ts IS NOT NULL").select(*keys)).distinct()


def _collect_events(events: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Collect the events per key, oldest first: the keys and `events`."""
    event = F.struct(*EVENT_ORDER, F.struct(*PAST_EVENT.names).alias("event"))
    in_order = F.array_sort(F.collect_list(event))
    return events.groupBy(*keys).agg(in_order["event"].alias("events"))


def _count_older_events(
    events: DataFrame, limits: HistoryLimits, stored: DataFrame | None, keys: Sequence[str]
) -> DataFrame:
    """Count all but the last events: the keys, `older`, `older_known_ts` and `older_first_ts`."""
    narrow = events.select(
        *keys, *EVENT_ORDER, "ingest_ts", "event_type", "item_id", "order_id", "price", "quantity"
    )
    ranked = narrow.withColumn("rank", _rank_newest_first(keys))
    lines = ranked.where(F.col("rank") > limits.max_events).select(*keys, *_count_columns())
    if stored is not None:
        before = stored.where("older_known_ts IS NOT NULL")
        lines = lines.unionByName(
            before.select(*keys, F.inline_outer("older")), allowMissingColumns=True
        )
    merged = _merge_counts(lines, (*keys, *PLACE))
    collapsed = _collapse_details(merged, limits.max_purchase_lines, keys)
    counts = (
        _merge_counts(collapsed, (*keys, *PLACE))
        .groupBy(*keys)
        .agg(
            F.array_sort(F.collect_list(F.struct(*PAST_COUNT.names))).alias("older"),
            F.max("known_ts").alias("older_known_ts"),
            F.min("first_ts").alias("older_first_ts"),
        )
    )
    return counts if stored is None else _add_stored_bounds(counts, before, keys)


def _add_stored_bounds(counts: DataFrame, stored: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Extend the bounds of the counts by those of stored histories."""
    bounds = stored.groupBy(*keys).agg(
        F.max("older_known_ts").alias("known"), F.min("first_ts").alias("first")
    )
    joined = counts.join(bounds, [*keys], "left")
    return joined.withColumns(
        {
            "older_known_ts": F.greatest("older_known_ts", "known"),
            "older_first_ts": F.least("older_first_ts", "first"),
        }
    ).drop("known", "first")


def _rank_newest_first(keys: Sequence[str]) -> Column:
    newest_first = [F.desc_nulls_last(name) for name in EVENT_ORDER]
    return F.row_number().over(Window.partitionBy(*keys).orderBy(*newest_first))


def _count_columns() -> list[Column]:
    """Return the columns of PAST_COUNT for one event, and when it happened and became known."""
    is_trade = F.col("event_type").isin(*TRADES)
    has_moment = is_trade & F.col("order_id").isNull()
    pieces = F.coalesce("quantity", F.lit(1.0))
    return [
        F.to_date("event_ts").alias("day"),
        F.col("event_type"),
        F.when(is_trade, F.col("item_id")).alias("item_id"),
        F.when(is_trade, F.col("order_id")).alias("order_id"),
        F.when(has_moment, F.col("event_ts")).alias("moment"),
        F.lit(1).cast("long").alias("n_events"),
        F.when(is_trade, pieces).cast(EXACT).alias("pieces"),
        F.when(is_trade, F.coalesce("price", F.lit(0.0)) * pieces).cast(EXACT).alias("value"),
        F.col("event_ts").alias("last_ts"),
        known_time().alias("known_ts"),
        F.col("event_ts").alias("first_ts"),
    ]


def _merge_counts(lines: DataFrame, keys: Sequence[str]) -> DataFrame:
    return lines.groupBy(*keys).agg(
        F.sum("n_events").alias("n_events"),
        F.sum("pieces").cast(EXACT).alias("pieces"),
        F.sum("value").cast(EXACT).alias("value"),
        F.max("last_ts").alias("last_ts"),
        F.max("known_ts").alias("known_ts"),
        F.min("first_ts").alias("first_ts"),
    )


def _collapse_details(lines: DataFrame, max_lines: int, keys: Sequence[str]) -> DataFrame:
    """Drop the details of the earliest days, so that at most `max_lines` lines have any.

    A day keeps the details of all its lines or of none, and no day before one without them has any.
    Days that lost them would have lost them as well with whatever arrives later, so the order of
    arrivals does not matter.
    """
    since_day = Window.partitionBy(*keys).orderBy(F.desc("day"))  # a range: all lines of the day
    is_trade = F.col("event_type").isin(*TRADES)
    has_details = F.coalesce("order_id", F.col("moment").cast("string")).isNotNull()
    is_early = (F.sum((is_trade & has_details).cast("int")).over(since_day) > max_lines) | F.max(
        is_trade & ~has_details
    ).over(since_day)
    details = {name: F.when(~F.col("is_early"), F.col(name)) for name in DETAILS}
    return lines.withColumn("is_early", is_early).withColumns(details).drop("is_early")
