"""Declare the tables of profiles, their refresh state and their history."""

from pyspark.sql import types as T

from profile_lib.tables.events import CONTEXT_COLUMNS
from profile_lib.tables.features import (
    HABIT_COLUMNS,
    INTEREST_COLUMNS,
    INTERESTS,
    RECENT_COLUMN,
)
from profile_lib.tables.table import (
    BOOLEAN,
    DATE,
    DOUBLE,
    INT,
    LONG,
    STRING,
    TIMESTAMP,
    Table,
    optional,
    required,
)

PREDICTED_VALUE = T.StructType(
    [T.StructField("value", STRING), T.StructField("confidence", DOUBLE)]
)

# An event that moved a score; `effect` is the difference in the score's logit.
REASON = T.StructType(
    [
        T.StructField("event_ts", TIMESTAMP),
        T.StructField("event_type", STRING),
        T.StructField("item_id", STRING),
        T.StructField("text", STRING),
        T.StructField("effect", DOUBLE),
    ]
)

# The input that the model has yet to read for a profile.
PENDING_INPUT = T.StructType(
    [
        T.StructField("text", STRING),
        T.StructField("numeric", T.ArrayType(DOUBLE)),
        T.StructField("top_category", STRING),
        T.StructField("is_returning", BOOLEAN),
        *[T.StructField(name, STRING) for name in CONTEXT_COLUMNS],
    ]
)

# The columns that the model predicts; all others are facts.
PREDICTED_COLUMNS = (
    "inferred", "interest_vector", "propensities", "predicted_values", "predicted_labels",
    "next_categories", "reasons", "model_version",
)  # fmt: skip

USER_PROFILES = Table(
    "user_profiles",
    "Facts about each user, and predictions of what the user is and will do",
    key=("user_id",),
    partition_by=("user_bucket",),  # not clustered: a refresh reaches every file anyway
    rebuild_instructions="run python jobs/refresh_profiles.py --config FILE --rebuild",
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required("user_bucket", INT, "hash bucket of user_id, part of every MERGE condition"),
        optional(
            "pending_input",
            PENDING_INPUT,
            "model input that has no predictions yet; null if none",
            "text",
        ),
        required("declared", T.MapType(STRING, STRING), "declared facts by name", "fact"),
        required(
            "inferred",
            T.MapType(STRING, PREDICTED_VALUE),
            "predicted class per task with its probability, 0 to 1",
            "fact",
        ),
        required(
            "interest_vector", T.ArrayType(T.FloatType()), "the model's user embedding", "fact"
        ),
        *INTEREST_COLUMNS,
        RECENT_COLUMN,
        required("last_event_ts", TIMESTAMP, "recency: time of the last event, UTC"),
        required("n_sessions", LONG, "frequency: number of sessions"),
        required("n_orders", LONG, "frequency: number of orders not returned completely"),
        required(
            "order_value", DOUBLE, "monetary value: purchases less returns, in the shop's currency"
        ),
        optional(
            "price_level",
            DOUBLE,
            "mean price level of the items seen, 0 to 1 in their category",
            "fact",
        ),
        optional(
            "purchasing_power",
            DOUBLE,
            "mean price level of the items bought, else seen, 0 to 1",
            "fact",
        ),
        *HABIT_COLUMNS,
        required(
            "propensities", T.MapType(STRING, DOUBLE), "probability per binary task, 0 to 1", "fact"
        ),
        required(
            "predicted_values",
            T.MapType(STRING, DOUBLE),
            "predicted value per regression task, in the unit of its label",
            "fact",
        ),
        required(
            "predicted_labels",
            T.MapType(STRING, INTERESTS),
            "classes with a probability above 0.5 per multilabel task, most probable first",
            "fact",
        ),
        required(
            "next_categories",
            INTERESTS,
            "next categories with probabilities, most probable first",
            "fact",
        ),
        optional("sentiment", DOUBLE, "mean rating, scaled to -1 (bad) to 1 (good)", "fact"),
        required("segment", STRING, "stage of the user, from passer-by to loyal buyer", "fact"),
        required(
            "reasons",
            T.MapType(STRING, T.ArrayType(REASON)),
            "events that moved a score most",
            "text",
        ),
        required("as_of_ts", TIMESTAMP, "only what was known before this moment counts, UTC"),
        required("events_version", LONG, "Delta version of events that the row was computed from"),
        required("profile_version", INT, "hash of the code that computed the facts"),
        required("model_version", STRING, "model that predicted"),
    ),
)

PROFILE_REFRESH_STATE = Table(
    "profile_refresh_state",
    "Definition and table versions that each bucket's profiles were computed from",
    key=("user_bucket",),
    rebuild_instructions="move {path} away: the next refresh then computes all profiles",
    columns=(
        required("user_bucket", INT, "hash bucket of user_id"),
        required("definition", STRING, "hash of the code, the model and the settings"),
        required("events_version", LONG, "Delta version of events that they were computed from"),
        required("items_version", LONG, "Delta version of items that they were computed from"),
        required("users_version", LONG, "Delta version of users that they were computed from"),
        optional("people_version", LONG, "the same of people; -1: there was no such table"),
        optional("table_ids", STRING, "Delta ids of events, items and users"),
    ),
)

USER_PROFILES_HISTORY = Table(
    "user_profiles_history",
    "Each state of a profile, valid until the user's next row",
    key=("user_id", "change_version"),
    partition_by=("valid_from_date",),
    cluster_by=("user_id",),
    rebuild_instructions=(
        "move {path} away and run python jobs/record_history.py --config FILE to begin again"
    ),
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required("change_version", LONG, "version of user_profiles that the commit made"),
        required("valid_from_ts", TIMESTAMP, "time of the commit, UTC"),
        required("valid_from_date", DATE, "UTC date of valid_from_ts"),
        required("change_type", STRING, "upsert, or delete: all columns after it are null then"),
        *(
            optional(c.name, c.type, c.comment, c.pii)
            for c in USER_PROFILES.columns
            if c.name != "user_id"
        ),
    ),
)
