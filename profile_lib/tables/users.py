"""Declare the tables of users and of their source ids."""

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
    "The id that each user has in its source; no other table holds these ids",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("raw_id", STRING, "id in the source"),
        required("source", STRING, "name of the mapping that the user came through"),
    ),
)

USERS = Table(
    "users",
    "Declared facts about each user",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        optional("age_band", STRING, "declared age band, years, for example 25-34"),
        optional("gender", STRING, "declared gender"),
        optional("region", STRING, "declared region, else the region of the latest event"),
        optional("region_seen_ts", TIMESTAMP, "time of that event, UTC; null: region is declared"),
        required("attributes", T.MapType(STRING, STRING), "other declared facts by name"),
        required("first_seen_ts", TIMESTAMP, "time of the first event, UTC"),
    ),
)
