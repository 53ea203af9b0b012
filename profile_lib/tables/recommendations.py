"""Declare the tables of recommendations and their refresh state."""

from pyspark.sql import types as T

from profile_lib.tables.table import (
    DOUBLE,
    INT,
    LONG,
    STRING,
    STRINGS,
    TIMESTAMP,
    Table,
    required,
)

RECOMMENDATION_REASON = T.StructType(
    [T.StructField(name, STRING) for name in ("source", "item_id", "text")]
)

RECOMMENDATIONS = Table(
    "recommendations",
    "Items to show to each user, best first",
    key=("user_id", "rank"),
    partition_by=("user_bucket",),
    rebuild_instructions="move {path} away and run python jobs/recommend_items.py --config FILE",
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required("user_bucket", INT, "hash bucket of user_id, part of every MERGE condition"),
        required("rank", INT, "position in the list, from 1"),
        required("item_id", STRING, "item"),
        required("score", DOUBLE, "the ranker's score, higher is better"),
        required("sources", STRINGS, "candidate sources that proposed the item"),
        required(
            "reasons",
            T.ArrayType(RECOMMENDATION_REASON),
            "per source: its name, the user's item that led to this one, and a text",
            "fact",
        ),
        required("recommender_version", STRING, "recommender that made the list"),
        required("model_version", STRING, "model that predicted the profile"),
        required("profiles_version", LONG, "Delta version of user_profiles that was read"),
        required("as_of_ts", TIMESTAMP, "only what was known before this moment counts, UTC"),
    ),
)

RECOMMENDATION_REFRESH_STATE = Table(
    "recommendation_refresh_state",
    "Definition and version of user_profiles that each bucket's lists were made from",
    key=("user_bucket",),
    rebuild_instructions=(
        "move {path} away: the next run of recommend_items then makes all lists again"
    ),
    columns=(
        required("user_bucket", INT, "hash bucket of user_id"),
        required(
            "definition", STRING, "hash of the recommender, the rules and the id of user_profiles"
        ),
        required("profiles_version", LONG, "Delta version of user_profiles that they read"),
    ),
)
