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
    "What each user is to be shown, best first",
    key=("user_id", "rank"),
    partition_by=("user_bucket",),
    rebuild_instructions="move {path} away and run python jobs/recommend_items.py --config FILE",
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("user_bucket", INT, "hash bucket of user_id, in every MERGE condition"),
        required("rank", INT, "place in the list, from 1"),
        required("item_id", STRING, "the item"),
        required("score", DOUBLE, "what the ranker expects of it, higher is better"),
        required("sources", STRINGS, "sources that named it"),
        required(
            "reasons",
            T.ArrayType(RECOMMENDATION_REASON),
            "why it is there: the source, the user's item, a text",
        ),
        required("recommender_version", STRING, "the recommender that listed it"),
        required("model_version", STRING, "the model that the profile is by"),
        required("profiles_version", LONG, "Delta version of user_profiles that was read"),
        required("as_of_ts", TIMESTAMP, "only what was known of the user before it counts"),
    ),
)

RECOMMENDATION_REFRESH_STATE = Table(
    "recommendation_refresh_state",
    "How far each bucket of recommendations has been refreshed",
    key=("user_bucket",),
    rebuild_instructions="move {path} away: the next run of recommend_items then lists all anew",
    columns=(
        required("user_bucket", INT, "hash bucket of user_id"),
        required(
            "definition", STRING, "hash of the recommender, the rules and the id of user_profiles"
        ),
        required("profiles_version", LONG, "Delta version of user_profiles that it knows"),
    ),
)
