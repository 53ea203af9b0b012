"""Good events and declared facts in, the table `users` out."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.tables import USERS

DEMOGRAPHIC_COLUMNS = ("age_band", "gender", "region")


def summarise_seen_users(events: DataFrame) -> DataFrame:
    """(user_id, raw_id, first_seen_ts, last_region) of a batch; last_region: when and where last seen."""
    return events.groupBy("user_id").agg(
        F.first("raw_id").alias("raw_id"),
        F.min("event_ts").alias("first_seen_ts"),
        F.max(F.when(F.col("region").isNotNull(), F.struct("event_ts", "region"))).alias(
            "last_region"
        ),
    )


def update_users(seen: DataFrame, declared: DataFrame | None, stored: DataFrame) -> DataFrame:
    """Each user of `summarise_seen_users` as known from now on; rows that change nothing are left out.

    What is declared wins over what was known; the region, where it is not declared, is the last
    one seen, and the first event is the earliest: batches may come in any order.
    """
    unknown = F.lit(None).cast("string")
    if declared is None:
        none = F.create_map().cast("map<string,string>")
        declared = seen.select(
            "user_id", *[unknown.alias(n) for n in DEMOGRAPHIC_COLUMNS], none.alias("attributes")
        )
    old = stored.select("user_id", *[F.col(c).alias(f"old_{c}") for c in USERS.column_names()[1:]])
    joined = seen.join(declared, "user_id", "left").join(old, "user_id", "left")
    empty = F.create_map().cast("map<string,string>")
    seen_before = F.col("old_region_seen_ts").isNotNull()
    last_region = F.greatest(
        "last_region",
        F.when(
            seen_before,
            F.struct(
                F.col("old_region_seen_ts").alias("event_ts"), F.col("old_region").alias("region")
            ),
        ),
    )
    declared_region = F.coalesce("region", F.when(~seen_before, F.col("old_region")))
    values = {
        "age_band": F.coalesce("age_band", "old_age_band"),
        "gender": F.coalesce("gender", "old_gender"),
        "region": F.coalesce(declared_region, last_region["region"]),
        "region_seen_ts": F.when(declared_region.isNull(), last_region["event_ts"]),
        "attributes": F.coalesce("attributes", "old_attributes", empty),
        "first_seen_ts": F.least("first_seen_ts", "old_first_seen_ts"),
    }
    users = joined.select("user_id", *[v.alias(n) for n, v in values.items()], *old.columns[1:])
    now = F.to_json(F.struct(*USERS.column_names()[1:]))
    before = F.to_json(F.struct(*[F.col(f"old_{c}").alias(c) for c in USERS.column_names()[1:]]))
    return users.where(now != before).select(*USERS.column_names())
