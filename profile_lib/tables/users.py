"""Declare the tables of users and of their source ids."""

from pyspark.sql import types as T

from profile_lib.tables.table import (
    FACTS,
    REINGEST_INSTRUCTIONS,
    STRING,
    TIMESTAMP,
    Table,
    optional,
    required,
)

DEMOGRAPHIC_COLUMNS = ("age_band", "gender", "region")  # facts with a column of their own

IDENTITY = Table(
    "identity",
    "The id that each user has in its source; no other table holds these ids",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    root="identity",
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required("raw_id", STRING, "id in the source", "raw id"),
        required("source", STRING, "name of the mapping that the user came through"),
    ),
)

USERS = Table(
    "users",
    "Declared facts about each user, the latest of each, whether or not the user has events",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        optional("age_band", STRING, "declared age band, years, for example 25-34", "fact"),
        optional("gender", STRING, "declared gender", "fact"),
        optional("region", STRING, "declared region", "fact"),
        required("attributes", T.MapType(STRING, STRING), "other declared facts by name", "fact"),
        required(
            "declared",
            FACTS,
            "all facts by name, each with the time of its declaration, UTC; null: withdrawn",
            "fact",
        ),
        optional("first_seen_ts", TIMESTAMP, "time of the first event, UTC; null: no event"),
    ),
)
