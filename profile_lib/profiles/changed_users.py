"""Events and users in, whose profile is computed, as of when, and whose goes, out."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.delta.merge import IS_DELETED
from profile_lib.tables.table import user_bucket

KEY_COLUMNS = ["user_id", "user_bucket"]
# A profile that knows more stays. Of two that know the same a refresh's takes the other's place, as
# it may be of a newer model, but a stream's only where the other awaits the model.
IS_NEWER, IS_SAME_VERSION = (
    f"source.events_version {than} target.events_version" for than in (">", "=")
)
REFRESH_GUARD = f"{IS_NEWER} OR ({IS_SAME_VERSION} AND (source.pending_input IS NULL OR target.pending_input IS NOT NULL))"
STREAM_GUARD = f"{IS_NEWER} OR ({IS_SAME_VERSION} AND target.pending_input IS NOT NULL)"


def select_users_in_buckets(frame: DataFrame, buckets: Sequence[int], n_buckets: int) -> DataFrame:
    """The users of a frame that are in these buckets, each once."""
    return frame.select("user_id").where(user_bucket(n_buckets).isin(*buckets)).distinct()


def add_deleted_profiles(
    profiles: DataFrame, stored: DataFrame, present: DataFrame, events_version: int
) -> DataFrame:
    """`profiles` and, with `is_deleted`, those of `stored` that are not `present` any more.

    `present` tells user and bucket: users without events go, and what lies in a bucket of an
    earlier number of buckets. Of those that go only the keys are read.
    """
    gone = stored.select(*KEY_COLUMNS).join(present.toDF(*KEY_COLUMNS), KEY_COLUMNS, "left_anti")
    at = F.lit(events_version).cast("long").alias("events_version")
    return profiles.withColumn(IS_DELETED, F.lit(False)).unionByName(
        gone.select(*KEY_COLUMNS, at, F.lit(True).alias(IS_DELETED)), allowMissingColumns=True
    )
