"""A Delta table with a change feed in, what its commits changed out, or that it is not told."""

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

# What Delta adds to the table's columns, with their types.
CHANGE_COLUMNS = {
    "_change_type": "string",  # insert, delete, update_preimage or update_postimage
    "_commit_version": "long",
    "_commit_timestamp": "timestamp",
}
UNREADABLE_FEED_ERRORS = ("DELTA_MISSING_CHANGE_DATA", "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE")


def read_changes(spark: SparkSession, path: str, first: int, last: int) -> DataFrame | None:
    """The rows that the commits from `first` to `last` changed, with CHANGE_COLUMNS.

    None where the feed does not tell them all: it was not on, its files or commits are cleaned
    away, or the table was made anew in another shape.
    """
    if _is_cleaned(spark, path, first):
        return None
    reader = spark.read.format("delta").option("readChangeFeed", "true")
    feed = reader.option("startingVersion", first).option("endingVersion", last).load(path)
    try:
        feed.isEmpty()  # Delta looks at the commits only when it plans the reading
    except PySparkException as error:
        if any(word in str(error) for word in UNREADABLE_FEED_ERRORS):
            return None
        raise
    return feed


def empty_change_feed(frame: DataFrame) -> DataFrame:
    """The feed of no commit: no row, the columns of `frame` and CHANGE_COLUMNS."""
    nulls = {name: F.lit(None).cast(kind) for name, kind in CHANGE_COLUMNS.items()}
    return frame.limit(0).withColumns(nulls)


def commits_since(delta, version: int) -> DataFrame:  # type: ignore[no-untyped-def]  # no stubs
    """The history of a table from a version on; the commits before, maybe many, are not read."""
    last = delta.history(1).collect()[0]["version"]
    return delta.history(max(last - version + 1, 1)).where(F.col("version") >= version)


def _is_cleaned(spark: SparkSession, path: str, first: int) -> bool:
    """Whether the log begins after `first`, or a VACUUM took files that were young when it came.

    What a commit wrote can be taken once the commit is older than the retention of a VACUUM.
    """
    from delta.tables import DeltaTable

    retention = F.coalesce(
        F.col("operationParameters.specifiedRetentionMillis"),
        F.col("operationParameters.defaultRetentionMillis"),
    ).cast("long")
    taken_before = F.when(
        F.col("operation") == "VACUUM START", F.unix_millis("timestamp") - retention
    )
    found = (
        commits_since(DeltaTable.forPath(spark, path), first)
        .agg(
            F.min("version").alias("version"),
            F.min(F.unix_millis("timestamp")).alias("millis"),
            F.max(taken_before).alias("taken_before"),
        )
        .collect()[0]
    )
    if found["version"] != first:
        return True
    return found["taken_before"] is not None and found["millis"] < found["taken_before"]
