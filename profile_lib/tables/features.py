"""Declare the table of behaviour."""

from pyspark.sql import types as T

from profile_lib.registry import Registry
from profile_lib.tables.registered_columns import ChainedColumns, RegisteredColumns
from profile_lib.tables.table import (
    COUNTS,
    DOUBLE,
    LONG,
    STRING,
    TIMESTAMP,
    Table,
    TableColumn,
    required,
    rerun_instructions,
)

RECENT_EVENT = T.StructType(
    [
        T.StructField("event_ts", TIMESTAMP),
        T.StructField("event_type", STRING),
        T.StructField("item_id", STRING),
        T.StructField("title", STRING),
        T.StructField("category", STRING),
        T.StructField("text", STRING),
        T.StructField("price_level", DOUBLE),
    ]
)
INTEREST = T.StructType([T.StructField("name", STRING), T.StructField("weight", DOUBLE)])
INTERESTS = T.ArrayType(INTEREST)

# The spans before a cutoff in which events are counted: name → days; None is the current session.
WINDOWS: dict[str, int | None] = {"session": None, "1d": 1, "7d": 7, "30d": 30}

# The numbers that a model reads, in this order; the model takes the logarithm of heavy-tailed ones.
# Each is declared with the function that computes it. The registry imports the modules of these
# functions on first use, by name, because tables must not depend on the stages that compute them.
NUMERIC_FEATURES = RegisteredColumns(Registry("behaviour", "profile_lib.features.numeric"))

# Columns that behaviour and profiles share.
INTEREST_COLUMNS: tuple[TableColumn, ...] = (
    required(
        "categories",
        INTERESTS,
        "interest by category as of the last event, strongest first",
        "fact",
    ),
    required(
        "brands", INTERESTS, "interest by brand as of the last event, strongest first", "fact"
    ),
    required(
        "keywords",
        INTERESTS,
        "interest by word as of the last event, TF-IDF; named by the catalog's form of the word",
        "text",
    ),
)
HABIT_COLUMNS: tuple[TableColumn, ...] = (
    required("active_hours", T.ArrayType(LONG), "number of events in each of the 24 local hours"),
    required("channels", COUNTS, "number of events by channel"),
    required("devices", COUNTS, "number of events by device"),
    required("regions", COUNTS, "number of events by region", "fact"),
)
RECENT_COLUMN = required(
    "recent", T.ArrayType(RECENT_EVENT), "the last events, newest first", "text"
)

BEHAVIOUR = Table(
    "behaviour",
    "Aggregated events of a user that were known at a cutoff",
    key=("user_id", "cutoff_ts"),
    rebuild_instructions=rerun_instructions("build_behaviour"),
    columns=ChainedColumns(
        (
            required("user_id", STRING, "pseudonym", "pseudonym"),
            required("cutoff_ts", TIMESTAMP, "only what was known before this moment counts, UTC"),
            required("last_event_ts", TIMESTAMP, "time of the last event before the cutoff, UTC"),
        ),
        NUMERIC_FEATURES,
        INTEREST_COLUMNS,
        HABIT_COLUMNS,
        (
            required("referrers", COUNTS, "number of events by referrer"),
            required("systems", COUNTS, "number of events by operating system"),
            required("browsers", COUNTS, "number of events by browser"),
            RECENT_COLUMN,
        ),
    ),
)
