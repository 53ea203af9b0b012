"""Read the rows that commits changed, if the change feed still holds all of them."""

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

# The columns that Delta adds to those of the table.
CHANGE_COLUMNS = {
    "_change_type": "string",  # insert, delete, update_preimage or update_postimage
    "_commit_version": "long",
    "_commit_timestamp": "timestamp",
}
UNREADABLE_FEED_ERRORS = ("DELTA_MISSING_CHANGE_DATA", "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE")


def read_changes(
    spark: SparkSession, path: str, first_version: int, last_version: int
) -> DataFrame | None:
    """Return the rows that the commits `first_version` to `last_version` changed.

    Rows have the table's columns and CHANGE_COLUMNS. Returns None if the feed does not hold them
    all: it was not enabled, its files or commits have been removed, or the table was created again
    with other columns.
    """
    if _is_removed(spark, path, first_version):
        return None
    reader = spark.read.format("delta").option("readChangeFeed", "true")
    reader = reader.option("startingVersion", first_version).option("endingVersion", last_version)
    feed = reader.load(path)
    try:
        feed.isEmpty()  # Delta reads the commits, and finds gaps, only when it plans a query
    except PySparkException as error:
        if any(name in str(error) for name in UNREADABLE_FEED_ERRORS):
            return None
        raise
    return feed


def empty_change_feed(frame: DataFrame) -> DataFrame:
    """Return a change feed without rows: the columns of `frame` and CHANGE_COLUMNS."""
    nulls = {name: F.lit(None).cast(type) for name, type in CHANGE_COLUMNS.items()}
    return frame.limit(0).withColumns(nulls)


def commits_since(delta, version: int) -> DataFrame:  # type: ignore[no-untyped-def]  # no stubs
    """Return the history of a DeltaTable since `version`, that commit included.

    Earlier commits are not read.
    """
    last_version = delta.history(1).collect()[0]["version"]
    return delta.history(max(last_version - version + 1, 1)).where(F.col("version") >= version)


def _is_removed(spark: SparkSession, path: str, first_version: int) -> bool:
    """Return whether commits or changed rows since `first_version` may have been removed.

    A VACUUM may have removed the files of each commit that was older than its retention.
    """
    from delta.tables import DeltaTable

    retention = F.coalesce(
        F.col("operationParameters.specifiedRetentionMillis"),
        F.col("operationParameters.defaultRetentionMillis"),
    ).cast("long")
    removed_before = F.when(
        F.col("operation") == "VACUUM START", F.unix_millis("timestamp") - retention
    )
    since_first = (
        commits_since(DeltaTable.forPath(spark, path), first_version)
        .agg(
            F.min("version").alias("version"),
            F.min(F.unix_millis("timestamp")).alias("millis"),
            F.max(removed_before).alias("removed_before"),
        )
        .collect()[0]
    )
    if since_first["version"] != first_version:
        return True  # the log entry of the first commit is gone
    removed_before = since_first["removed_before"]
    return removed_before is not None and since_first["millis"] < removed_before
