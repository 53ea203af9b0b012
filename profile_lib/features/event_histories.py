"""The change feed of events in, the whole history of each user that it touches out.

Spark keeps each user's changes as the state of a stream; nothing reads the table of events again.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.as_of import EVENT_COLUMNS

CHANGE_COLUMNS = (
    "_commit_version",
    "is_present",
    *EVENT_COLUMNS,
    "ingest_ts",
)  # in the order of time


def collect_user_changes(feed: DataFrame) -> DataFrame:
    """(user_id, changes, events_version, changed_ts): of each user all that was ever changed.

    `events_version` and `changed_ts` tell the last commit that changed something of the user. A
    set: what a stream is given twice is there once.
    """
    is_present = F.col("_change_type").isin("insert", "update_postimage")
    change = F.struct(*[F.col(c) for c in CHANGE_COLUMNS])
    found = (
        feed.withColumn("is_present", is_present)
        .groupBy("user_id")
        .agg(
            F.collect_set(change).alias("changes"),
            F.max("_commit_version").alias("events_version"),
            F.max("_commit_timestamp").alias("changed_ts"),
        )
    )
    # A batch is read in many places of one plan, where Spark knows it again as what was kept only
    # if it is not partitioned by a column: else each of them computes and commits the state anew,
    # and a snapshot of it that is uploaded meanwhile may break.
    return found.withColumn("user_id", F.concat("user_id", F.lit("")))


def select_current_events(user_changes: DataFrame) -> DataFrame:
    """The events of users with their `changes`, each as its last change left it."""
    changes = user_changes.select("user_id", F.explode("changes").alias("change"))
    last = changes.groupBy("user_id", "change.event_id").agg(F.max("change").alias("change"))
    return last.where("change.is_present").select("user_id", "change.*")
