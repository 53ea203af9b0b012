"""Deduplicate judged rows, find ids that mean nobody and robots, and collect rejected rows."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.events.cleaning import EXAMPLE_SIGN, KEPT, REJECTED
from profile_lib.events.formats.registry import FILE, POSITION
from profile_lib.events.quality import DUPLICATE, KNOWN
from profile_lib.tables import EVENTS, REJECTED_EVENTS

TOO_FREQUENT = "user_id:too_frequent"
TIMES_AVERAGE = 5  # a frequent id has as many times the rows of an average one, at least
EVENT_HASH = "event_hash"  # by which rows are spread over tasks
BOT_AGENT = "bot:user_agent"
# Columns of events that are not repeated in the JSON of a rejected row, and those that are.
OUTSIDE_ROW = ("event_id", "user_id", "event_ts", "source", "ingest_ts", "load_date")
INSIDE_ROW = tuple(column for column in EVENTS.columns if column.name not in OUTSIDE_ROW)


def is_kept() -> Column:
    """Return whether a judged row is an event so far."""
    return F.col("status") == KEPT


def reject(judged: DataFrame, condition: Column, rule: str) -> DataFrame:
    """Reject the kept rows that meet a condition."""
    is_rejected = is_kept() & F.coalesce(condition, F.lit(False))
    reasons = F.when(is_rejected, F.array(F.lit(rule))).otherwise(F.col("reasons"))
    status = F.when(is_rejected, REJECTED).otherwise(F.col("status"))
    return judged.withColumns({"reasons": reasons, "status": status})


def reject_robots(judged: DataFrame, pattern: str) -> DataFrame:
    """Reject the rows whose user agent is that of a known robot."""
    return reject(judged, F.col("user_agent").rlike(pattern), BOT_AGENT)


def count_user_days(events: DataFrame) -> DataFrame:
    """Count the events per user_id and event_date, as `n`."""
    return events.groupBy("user_id", "event_date").agg(F.count("*").alias("n"))


def find_frequent_ids(user_days: DataFrame, max_share: float, min_rows: int) -> list[str]:
    """Return the ids with more than `max_share` of all rows, and many times the average.

    Each stands for many people. There are fewer than 1 / max_share. Batches of fewer than
    `min_rows` rows have none, nor have those of a few users who are equally active.
    """
    users = user_days.groupBy("user_id").agg(F.sum("n").alias("n"))
    total = users.agg(F.sum("n").alias("total"), F.avg("n").alias("average"))
    is_frequent = (F.col("n") > max_share * F.col("total")) & (F.col("total") >= min_rows)
    is_frequent &= F.col("n") > TIMES_AVERAGE * F.col("average")
    return [
        row["user_id"] for row in users.crossJoin(F.broadcast(total)).where(is_frequent).collect()
    ]


def partition_by_event(judged: DataFrame) -> DataFrame:
    """Bring the kept rows of each event together, and spread all other rows evenly.

    No user, robot or id that means nobody fills a task of its own, however many rows it has.
    """
    event = F.xxhash64("event_id")
    place = F.xxhash64(FILE, POSITION, "event_id")
    hashed = judged.withColumn(EVENT_HASH, F.when(is_kept(), event).otherwise(place))
    return hashed.repartition(EVENT_HASH)


def mark_duplicates(judged: DataFrame) -> DataFrame:
    """Mark all but the first arrival of each event_id as DUPLICATE.

    Ties are broken by the place of the row. `judged` is a result of `partition_by_event`, whose
    partitions the window respects: it needs no other shuffle.
    """
    # With the hash first, nearly all rows are sorted without a comparison of strings.
    same_event = Window.partitionBy(EVENT_HASH, "event_id", is_kept())
    number = F.row_number().over(same_event.orderBy("ingest_ts", "sequence", FILE, POSITION))
    status = F.when(is_kept() & (F.col("arrival_rank") > 1), DUPLICATE).otherwise(F.col("status"))
    return (
        judged.withColumn("arrival_rank", number).withColumn("status", status).drop("arrival_rank")
    )


def mark_known(judged: DataFrame, stored: DataFrame) -> DataFrame:
    """Mark the kept rows whose event_id `stored` has as KNOWN.

    `stored` has each event_id once. `judged` is a result of `partition_by_event`, and is not
    shuffled again.
    """
    marks = stored.select(
        F.xxhash64("event_id").alias(EVENT_HASH), "event_id", F.lit(True).alias("is_known")
    )
    status = F.when(is_kept() & F.col("is_known"), KNOWN).otherwise(F.col("status"))
    joined = judged.join(marks, [EVENT_HASH, "event_id"], "left")
    return joined.withColumn("status", status).drop("is_known")


def build_rejected_events(rejected: DataFrame) -> DataFrame:
    """Build rows of `rejected_events` from rejected rows, with the rules alone as reasons."""
    columns = [column.name for column in INSIDE_ROW if column.name in rejected.columns]
    is_event = F.col("event_ts").isNotNull() & F.col("event_type").isNotNull()
    row = F.when(is_event, F.to_json(F.struct(*columns)))
    rules = F.transform("reasons", lambda rule: F.split_part(rule, F.lit(EXAMPLE_SIGN), F.lit(1)))
    # A row that is rejected because of other rows has no row_id yet. Its event_id is a pseudonym,
    # so that a new version of the key renews both alike.
    row_id = F.coalesce("row_id", "event_id")
    values = {
        "row_id": row_id,
        "row": row,
        "reasons": rules,
        "file": F.col(FILE),
        "row_number": F.col(POSITION),
    }
    return rejected.withColumns(values).select(*REJECTED_EVENTS.column_names())


def parse_event_row(row: Column) -> Column:
    """Return the JSON of a rejected row as a struct of the columns INSIDE_ROW."""
    return F.from_json(row, T.StructType([T.StructField(c.name, c.type) for c in INSIDE_ROW]))
