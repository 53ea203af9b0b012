"""Deduplicate a cleaned batch, and count and collect its rejected rows."""

from datetime import date
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.tables import EVENTS, REJECTED_EVENTS

MAX_REPORTED_REASONS = 3  # in the error that stops the job


class BatchSummary(NamedTuple):
    """The size of a batch, and the dates of its accepted rows.

    The dates are None if no row is accepted.
    """

    n_rows: int
    n_rejected: int
    first_date: date | None
    last_date: date | None


def deduplicate_events(cleaned: DataFrame) -> DataFrame:
    """Keep the first arrival of each event_id, and all rejected rows.

    Ties are broken by a hash of the content. The window is partitioned by user as well, which
    spares later operations per user a shuffle.
    """
    is_accepted = F.size("reasons") == 0
    content = F.xxhash64(*[c for c in cleaned.columns if c != "reasons"])
    # With the hash first, nearly all rows are sorted without a comparison of strings.
    same_event = Window.partitionBy(F.xxhash64("event_id"), "user_id", "event_id", is_accepted)
    arrival_rank = F.row_number().over(same_event.orderBy("ingest_ts", content))
    return (
        cleaned.withColumn("arrival_rank", arrival_rank)
        .where(~is_accepted | (F.col("arrival_rank") == 1))
        .drop("arrival_rank")
    )


def summarise_batch(cleaned: DataFrame) -> BatchSummary:
    """Count a batch's rows and find its dates in one pass."""
    is_accepted = F.size("reasons") == 0
    day = F.when(is_accepted, F.col("event_date"))
    summary = cleaned.agg(F.count("*"), F.count_if(~is_accepted), F.min(day), F.max(day)).first()
    assert summary is not None
    return BatchSummary(*summary)


def describe_excess_rejections(
    cleaned: DataFrame, summary: BatchSummary, max_rejected_share: float
) -> str | None:
    """Return why the job must stop; None if few enough rows are rejected."""
    if summary.n_rejected <= max_rejected_share * summary.n_rows:
        return None
    reason = F.explode(F.transform("reasons", lambda r: F.regexp_replace(r, ":.*", "")))
    counts = cleaned.select(reason.alias("reason")).groupBy("reason").count()
    most_frequent = counts.orderBy(F.desc("count"), "reason").limit(MAX_REPORTED_REASONS).collect()
    reasons = ", ".join(f"{row['count']:,} × {row['reason']}" for row in most_frequent)
    return (
        f"events: {summary.n_rejected / summary.n_rows:.1%} of {summary.n_rows:,} rows rejected "
        f"(limit {max_rejected_share:.1%}): {reasons}; nothing was added to events; see "
        "rejected_events, and fix the source or its mapping, or raise ingest.max_rejected_share"
    )


def build_rejected_events(rows: DataFrame) -> DataFrame:
    """Build rows of `rejected_events`, which do not hold the raw user id."""
    row = F.to_json(F.struct(*[c for c in EVENTS.column_names() if c in rows.columns]))
    return (
        rows.withColumn("row", row)
        .withColumn("row_id", _row_id())
        .select(*REJECTED_EVENTS.column_names())
        .dropDuplicates(["row_id"])
    )


def _row_id() -> Column:
    return F.sha2(F.concat_ws("|", "row", F.array_join(F.array_sort("reasons"), "|")), 256)
