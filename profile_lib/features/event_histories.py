"""Collect the complete history of users from the change feed of events.

Spark stores each user's changes as the state of the stream, so the table of events is not read
again.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.features.as_of import EVENT_COLUMNS

# The commit's version comes first, so that the maximum of an event's changes is the last one.
CHANGE_COLUMNS = ("_commit_version", "is_present", *EVENT_COLUMNS, "ingest_ts")


def collect_user_changes(feed: DataFrame) -> DataFrame:
    """Collect all changes of each user's events from a change feed.

    Returns (user_id, changes, events_version, changed_ts). `changes` is a set, so a change that the
    stream reads twice is in it once. `events_version` and `changed_ts` are the version and the time
    of the user's last commit.
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
    # The plan of a batch reads this frame in several places. Spark reads its cache there only if
    # the frame is not partitioned by a column, and this expression hides the column. Otherwise each
    # place would compute and commit the state again, which can break the upload of a snapshot.
    return collected.withColumn("user_id", F.concat("user_id", F.lit("")))


def select_current_events(user_changes: DataFrame) -> DataFrame:
    """Return the current events of users: each event as of its last change, unless deleted."""
    changes = user_changes.select("user_id", F.explode("changes").alias("change"))
    last = changes.groupBy("user_id", "change.event_id").agg(F.max("change").alias("change"))
    return last.where("change.is_present").select("user_id", "change.*")
