"""Declare the tables of users and of their raw ids."""

from pyspark.sql import types as T

from profile_lib.tables.table import (
    REINGEST_INSTRUCTIONS,
    STRING,
    TIMESTAMP,
    Table,
    optional,
    required,
)

IDENTITY = Table(
    "identity",
    "The only table that holds raw user ids",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("raw_id", STRING, "the id in the source"),
        required("source", STRING, "name of the mapping it came by"),
    ),
)

USERS = Table(
    "users",
    "What is declared of a user",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        optional("age_band", STRING, "declared age band, such as 25-34"),
        optional("gender", STRING, "declared gender"),
        optional("region", STRING, "declared region, else the last one seen"),
        optional("region_seen_ts", TIMESTAMP, "when it was seen, UTC; null where declared"),
        required("attributes", T.MapType(STRING, STRING), "whatever else the source declares"),
        required("first_seen_ts", TIMESTAMP, "time of the first event, UTC"),
    ),
)
