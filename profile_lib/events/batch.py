"""Cleaned rows and what is stored in, the batch out: what is new, rejected or taken back."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.tables import EVENTS, REJECTED_EVENTS

BY_MINUTE, BY_DAY = "more events in a minute than a person makes", "more events in a day"


def keep_first(cleaned: DataFrame) -> DataFrame:
    """Each event once: of rows with one event_id the one that arrived first, ties by content.

    Rows come out partitioned by user, which whatever follows by user makes use of. Rejected rows
    are not counted as events: each stays.
    """
    is_good = F.size("reasons") == 0
    content = F.xxhash64(*[c for c in cleaned.columns if c != "reasons"])
    of_event = Window.partitionBy("user_id", "event_id", is_good)
    place = F.row_number().over(of_event.orderBy("ingest_ts", content))
    return cleaned.withColumn("place", place).where(~is_good | (F.col("place") == 1)).drop("place")


def impossible_rates(seen: DataFrame, a_minute: int, a_day: int) -> DataFrame:
    """(user_id, span, starts, reason): the minutes and days in which a user was too fast.

    `seen` has user_id, event_id and event_ts of everything known, an event perhaps more than once.
    Few rows: a first count without telling repeats apart leaves little to look at closely.
    """
    spans = []
    for span, most, reason in (("minute", a_minute, BY_MINUTE), ("day", a_day, BY_DAY)):
        counted = seen.withColumn("starts", F.date_trunc(span, "event_ts"))
        busy = counted.groupBy("user_id", "starts").count().where(F.col("count") > most)
        close = (
            counted.join(F.broadcast(busy.drop("count")), ["user_id", "starts"])
            .groupBy("user_id", "starts")
            .agg(F.count_distinct("event_id").alias("n"))
            .where(F.col("n") > most)
        )
        told = F.concat(F.lit(f"{reason}: "), F.col("n").cast("string"))
        spans.append(
            close.select("user_id", F.lit(span).alias("span"), "starts", told.alias("rate"))
        )
    return spans[0].unionByName(spans[1])


def mark_rates(rows: DataFrame, rates: DataFrame) -> DataFrame:
    """`rows` with the reasons of the spans they fall into."""
    for span in ("minute", "day"):
        of_span = rates.where(F.col("span") == span).select("user_id", "starts", "rate")
        rows = (
            rows.withColumn("starts", F.date_trunc(span, "event_ts"))
            .join(F.broadcast(of_span), ["user_id", "starts"], "left")
            .withColumn(
                "reasons",
                F.when(F.col("rate").isNull(), F.col("reasons")).otherwise(
                    F.concat("reasons", F.array("rate"))
                ),
            )
            .drop("starts", "rate")
        )
    return rows


def to_rejected(rows: DataFrame) -> DataFrame:
    """The table `rejected_events` of rows with reasons; the raw id is not among what is kept."""
    row = F.to_json(F.struct(*[c for c in EVENTS.names() if c in rows.columns]))
    return (
        rows.withColumn("row", row)
        .withColumn("row_id", _row_id())
        .select(*REJECTED_EVENTS.names())
        .dropDuplicates(["row_id"])
    )


def _row_id() -> Column:
    return F.sha2(F.concat_ws("|", "row", F.array_join(F.array_sort("reasons"), "|")), 256)
