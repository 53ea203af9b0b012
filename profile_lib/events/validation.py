"""Cleaned rows and what is stored in, the batch out: what is new, rejected or taken back."""

from datetime import date
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.tables import EVENTS, REJECTED_EVENTS

MINUTE_RATE_REASON, DAY_RATE_REASON = (
    "more events in a minute than a person makes",
    "more events in a day",
)
RATE_COLUMNS = ("user_id", "event_id", "event_ts", "event_date", "order_id")
MAX_REPORTED_REASONS = 3  # reasons that are told where too much is rejected


class BatchSummary(NamedTuple):
    """How much a batch holds, and the days of what is good in it."""

    n_rows: int
    n_rejected: int
    first_date: date | None
    last_date: date | None


def deduplicate_events(cleaned: DataFrame) -> DataFrame:
    """Each event once: of rows with one event_id the one that arrived first, ties by content.

    Rows come out partitioned by user, which whatever follows by user makes use of. Rejected rows
    are not counted as events: each stays.
    """
    is_good = F.size("reasons") == 0
    content = F.xxhash64(*[c for c in cleaned.columns if c != "reasons"])
    # The hash comes first: it orders nearly all rows without a comparison of strings.
    of_event = Window.partitionBy(F.xxhash64("event_id"), "user_id", "event_id", is_good)
    arrival_rank = F.row_number().over(of_event.orderBy("ingest_ts", content))
    return (
        cleaned.withColumn("arrival_rank", arrival_rank)
        .where(~is_good | (F.col("arrival_rank") == 1))
        .drop("arrival_rank")
    )


def summarise_batch(cleaned: DataFrame) -> BatchSummary:
    """One look over the batch."""
    is_good = F.size("reasons") == 0
    day = F.when(is_good, F.col("event_date"))
    found = cleaned.agg(F.count("*"), F.count_if(~is_good), F.min(day), F.max(day)).first()
    assert found is not None
    return BatchSummary(*found)


def select_rate_history(stored: DataFrame, rejected: DataFrame) -> DataFrame:
    """What counts for rates beside the batch: stored events, and those rejected for their rate."""
    is_fast = F.exists("reasons", lambda r: r.startswith("more events in a "))
    order_id = F.get_json_object("row", "$.order_id").alias("order_id")
    columns = ("user_id", "event_id", "event_ts", F.to_date("event_ts").alias("event_date"))
    fast = rejected.where(is_fast).select(*columns, order_id)
    return stored.select(*RATE_COLUMNS).unionByName(fast)


def find_impossible_rates(seen: DataFrame, max_per_minute: int, max_per_day: int) -> DataFrame:
    """(user_id, window, window_start, rate_reason): the minutes and days in which a user was too fast.

    `seen` has the columns RATE_COLUMNS of everything known, an event perhaps more than once. All lines of
    one order are one act. Few rows: who has no day with more events than a minute may hold is
    not looked at closely.
    """
    keyed = seen.withColumn("user_key", F.xxhash64("user_id"))  # shared by chance: no harm here
    daily = keyed.groupBy("user_key", "event_date").count()
    busy = daily.where(F.col("count") > min(max_per_minute, max_per_day)).drop("count")
    close = keyed.join(F.broadcast(busy), ["user_key", "event_date"])
    act = F.coalesce(F.concat(F.lit("order "), "order_id"), "event_id")
    spans = []
    for span, most, reason in (
        ("minute", max_per_minute, MINUTE_RATE_REASON),
        ("day", max_per_day, DAY_RATE_REASON),
    ):
        counted = close.groupBy(
            "user_id", F.date_trunc(span, "event_ts").alias("window_start")
        ).agg(F.count_distinct(act).alias("n"))
        rate = F.concat(F.lit(f"{reason}: "), F.col("n").cast("string")).alias("rate_reason")
        fast = counted.where(F.col("n") > most)
        spans.append(fast.select("user_id", F.lit(span).alias("window"), "window_start", rate))
    return spans[0].unionByName(spans[1])


def add_rate_reasons(rows: DataFrame, rates: DataFrame) -> DataFrame:
    """`rows` with the reasons of the spans they fall into."""
    for span in ("minute", "day"):
        of_span = rates.where(F.col("window") == span).select(
            "user_id", "window_start", "rate_reason"
        )
        rows = (
            rows.withColumn("window_start", F.date_trunc(span, "event_ts"))
            .join(F.broadcast(of_span), ["user_id", "window_start"], "left")
            .withColumn(
                "reasons",
                F.when(F.col("rate_reason").isNull(), F.col("reasons")).otherwise(
                    F.concat("reasons", F.array("rate_reason"))
                ),
            )
            .drop("window_start", "rate_reason")
        )
    return rows


def select_retracted_events(stored: DataFrame, rates: DataFrame) -> DataFrame:
    """The stored events, with reasons, that turn out to be too fast now that more is known."""
    fresh = stored.withColumn("reasons", F.array().cast("array<string>"))
    return add_rate_reasons(fresh, rates).where(F.size("reasons") > 0)


def describe_excess_rejections(
    cleaned: DataFrame, summary: BatchSummary, max_rejected_share: float
) -> str | None:
    """The sentence that stops the job, or None."""
    if summary.n_rejected <= max_rejected_share * summary.n_rows:
        return None
    reason = F.explode(F.transform("reasons", lambda r: F.regexp_replace(r, ":.*", "")))
    worst = cleaned.select(reason.alias("reason")).groupBy("reason").count()
    told = worst.orderBy(F.desc("count"), "reason").limit(MAX_REPORTED_REASONS).collect()
    reasons = ", ".join(f"{row['count']:,} × {row['reason']}" for row in told)
    return (
        f"events: {summary.n_rejected / summary.n_rows:.1%} of {summary.n_rows:,} rows rejected "
        f"(limit {max_rejected_share:.1%}): {reasons}; "
        "nothing was added to events: see rejected_events, and mend the source or its mapping"
    )


def build_rejected_events(rows: DataFrame) -> DataFrame:
    """The table `rejected_events` of rows with reasons; the raw id is not among what is kept."""
    row = F.to_json(F.struct(*[c for c in EVENTS.column_names() if c in rows.columns]))
    return (
        rows.withColumn("row", row)
        .withColumn("row_id", _row_id())
        .select(*REJECTED_EVENTS.column_names())
        .dropDuplicates(["row_id"])
    )


def _row_id() -> Column:
    return F.sha2(F.concat_ws("|", "row", F.array_join(F.array_sort("reasons"), "|")), 256)
