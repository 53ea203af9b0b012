"""Collect the complete history of users from the change feed of events.

Spark keeps each user's changes as the state of the stream, so the table of events is not read
again.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.as_of import EVENT_COLUMNS

# The commit comes first, so that the greatest change of an event is its last one.
CHANGE_COLUMNS = ("_commit_version", "is_present", *EVENT_COLUMNS, "ingest_ts")


def collect_user_changes(feed: DataFrame) -> DataFrame:
    """Collect (user_id, changes, events_version, changed_ts) of all changes of a user's events.

    `events_version` and `changed_ts` are version and time of the last commit with a change.
    `changes` is a set: a change that the stream reads twice is in it once.
    """
    is_present = F.col("_change_type").isin("insert", "update_postimage")
    change = F.struct(*[F.col(c) for c in CHANGE_COLUMNS])
    collected = (
        feed.withColumn("is_present", is_present)
        .groupBy("user_id")
        .agg(
            F.collect_set(change).alias("changes"),
            F.max("_commit_version").alias("events_version"),
            F.max("_commit_timestamp").alias("changed_ts"),
        )
    )
    # One plan reads a batch in several places. Spark takes it from the cache there only if it is
    # not partitioned by a column; otherwise each place computes and commits the state again, and a
    # snapshot of the state that is being uploaded may break.
    return collected.withColumn("user_id", F.concat("user_id", F.lit("")))


def select_current_events(user_changes: DataFrame) -> DataFrame:
    """Return the current events of users: each as its last change left it, unless deleted."""
    changes = user_changes.select("user_id", F.explode("changes").alias("change"))
    last = changes.groupBy("user_id", "change.event_id").agg(F.max("change").alias("change"))
    return last.where("change.is_present").select("user_id", "change.*")
