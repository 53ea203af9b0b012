"""Declare the tables of profiles, their refresh state and their history."""

from pyspark.sql import types as T

from profile_lib.tables.events import CONTEXT_COLUMNS
from profile_lib.tables.features import INTERESTS, RECENT_EVENT
from profile_lib.tables.table import (
    BOOLEAN,
    COUNTS,
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

REASON = T.StructType(
    [
        T.StructField("event_ts", TIMESTAMP),
        T.StructField("event_type", STRING),
        T.StructField("item_id", STRING),
        T.StructField("text", STRING),
        T.StructField("effect", DOUBLE),
    ]
)

# What the model reads of a user.
PENDING_INPUT = T.StructType(
    [
        T.StructField("text", STRING),
        T.StructField("numeric", T.ArrayType(DOUBLE)),
        T.StructField("top_category", STRING),
        T.StructField("is_returning", BOOLEAN),
        *[T.StructField(name, STRING) for name in CONTEXT_COLUMNS],
    ]
)

# What the model says, the other columns of a profile are facts.
PREDICTED_COLUMNS = (
    "inferred", "interest_vector", "propensities", "predicted_values", "predicted_labels", "next_categories",
    "reasons", "model_version",
)  # fmt: skip

USER_PROFILES = Table(
    "user_profiles",
    "Who a user is, what they like and what they will do next",
    key=("user_id",),
    partition_by=("user_bucket",),  # and not clustered: a refresh reaches every file anyway
    rebuild_instructions="run python jobs/refresh_profiles.py --config FILE --rebuild",
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("user_bucket", INT, "hash bucket of user_id, in every MERGE condition"),
        optional(
            "pending_input",
            PENDING_INPUT,
            "what the model is to read, while the guesses are of earlier events",
        ),
        required("declared", T.MapType(STRING, STRING), "what the user or the source declares"),
        required(
            "inferred",
            T.MapType(STRING, PREDICTED_VALUE),
            "attributes the model infers, with confidence",
        ),
        required("interest_vector", T.ArrayType(T.FloatType()), "the model's joined vector"),
        required(
            "categories", INTERESTS, "interest by category as of the last event, strongest first"
        ),
        required("brands", INTERESTS, "interest by brand as of the last event, strongest first"),
        required("keywords", INTERESTS, "interest by word, TF-IDF, as of the last event"),
        required("recent", T.ArrayType(RECENT_EVENT), "the last events, newest first"),
        required("last_event_ts", TIMESTAMP, "recency: time of the last event"),
        required("n_sessions", LONG, "frequency: sessions"),
        required("n_orders", LONG, "frequency: orders"),
        required("order_value", DOUBLE, "monetary value: price times quantity over all purchases"),
        optional(
            "price_level", DOUBLE, "mean price level of the items seen, 0 to 1 in their category"
        ),
        optional(
            "purchasing_power", DOUBLE, "mean price level of the items bought, else of those seen"
        ),
        required("active_hours", T.ArrayType(LONG), "events in each of the 24 UTC hours"),
        required("channels", COUNTS, "events by channel"),
        required("devices", COUNTS, "events by device"),
        required("regions", COUNTS, "events by region"),
        required("propensities", T.MapType(STRING, DOUBLE), "probability of each binary task"),
        required(
            "predicted_values", T.MapType(STRING, DOUBLE), "value of each regression, in its unit"
        ),
        required(
            "predicted_labels",
            T.MapType(STRING, INTERESTS),
            "of each multilabel task what is above a half",
        ),
        required(
            "next_categories", INTERESTS, "likely next categories with probability, likeliest first"
        ),
        optional("sentiment", DOUBLE, "mean rating given, scaled to -1 (bad) to 1 (good)"),
        required("segment", STRING, "where the user stands: buyer, returning, at the till, …"),
        required(
            "reasons", T.MapType(STRING, T.ArrayType(REASON)), "events that most moved each score"
        ),
        required("as_of_ts", TIMESTAMP, "only what was known before it counts"),
        required("events_version", LONG, "Delta version of events that it was computed from"),
        required("profile_version", INT, "version of the profile's definition"),
        required("model_version", STRING, "the model that inferred it"),
    ),
)

PROFILE_REFRESH_STATE = Table(
    "profile_refresh_state",
    "How far each bucket of user_profiles has been refreshed",
    key=("user_bucket",),
    rebuild_instructions="move {path} away: the next refresh then computes all profiles",
    columns=(
        required("user_bucket", INT, "hash bucket of user_id"),
        required("definition", STRING, "hash of the model, the code and the settings it was by"),
        required("events_version", LONG, "Delta version of events that its profiles know"),
        required("items_version", LONG, "Delta version of items that its profiles know"),
        required("users_version", LONG, "Delta version of users that its profiles know"),
        optional("table_ids", STRING, "Delta's ids of these three tables"),
    ),
)

USER_PROFILES_HISTORY = Table(
    "user_profiles_history",
    "What each commit made of a user's profile, which holds until the user's next row",
    key=("user_id", "change_version"),
    partition_by=("valid_from_date",),
    cluster_by=("user_id",),
    rebuild_instructions="move {path} away and run python jobs/record_history.py --config FILE to begin anew",
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("change_version", LONG, "version of user_profiles that the commit made"),
        required("valid_from_ts", TIMESTAMP, "time of the commit, UTC"),
        required("valid_from_date", DATE, "the UTC date of valid_from_ts"),
        required("change_type", STRING, "upsert, or delete: all that follows is null then"),
        *(
            optional(c.name, c.type, c.comment)
            for c in USER_PROFILES.columns
            if c.name != "user_id"
        ),
    ),
)
