"""Give events the person of their id."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.spark.timestamps import is_in_interval


def add_person(events: DataFrame, people: DataFrame) -> DataFrame:
    """Add person_id, and person_known_ts, the time from which that was known.

    `events` has user_id and event_ts, and `people` the columns of that table. An id without a row
    for the time of the event is a person of its own: person_id is then user_id, and person_known_ts
    null. To see only links known before a moment, pass the rows of `people` with an earlier
    known_ts.
    """
    rows = people.select(
        "user_id", F.col("from_ts").alias("_from_ts"), F.col("until_ts").alias("_until_ts"),
        F.col("person_id").alias("_person_id"), F.col("known_ts").alias("person_known_ts"),
    ).alias("people")  # fmt: skip
    matches = F.col("events.user_id") == F.col("people.user_id")
    matches &= is_in_interval(F.col("event_ts"), F.col("_from_ts"), F.col("_until_ts"))
    joined = events.alias("events").join(rows, matches, "left")
    person = F.coalesce("_person_id", "events.user_id").alias("person_id")
    return joined.select("events.*", person, "person_known_ts")
