"""Declare the tables of user histories."""

from pyspark.sql import types as T

from profile_lib.tables.events import EVENTS
from profile_lib.tables.table import (
    DATE,
    INT,
    LONG,
    STRING,
    TIMESTAMP,
    USER_BUCKET,
    Table,
    optional,
    required,
)

# Columns of events that a history leaves out: no profile reads them.
UNREMEMBERED = (
    "user_id", "anonymous_id", "device_id", "event_date", "language", "position", "session_hint",
    "source", "load_date",
)  # fmt: skip
# Ids that a history shortens: they only have to differ within one user. Hashes do not compress.
SHORT_IDS = {"event_id": 12, "order_id": 16}  # column → characters kept

PAST_EVENT = T.StructType(
    [T.StructField(c.name, c.type) for c in EVENTS.columns if c.name not in UNREMEMBERED]
)
EXACT = T.DecimalType(38, 6)  # sums of decimals do not depend on their order
# Counts of older events of one day and type. Those of purchases and returns are counted by item and
# order; an order without an id is known by its moment. Too many of them are counted by day.
PAST_COUNT = T.StructType(
    [
        T.StructField("day", DATE),
        T.StructField("event_type", STRING),
        T.StructField("item_id", STRING),
        T.StructField("order_id", STRING),
        T.StructField("moment", TIMESTAMP),
        T.StructField("n_events", LONG),
        T.StructField("pieces", EXACT),
        T.StructField("value", EXACT),
        T.StructField("last_ts", TIMESTAMP),
    ]
)

_REBUILD = "move {path} away: the next job that reads it builds it again from events"

USER_HISTORIES = Table(
    "user_histories",
    "The last events of each user, and counts of the older ones",
    key=("user_id",),
    partition_by=(USER_BUCKET,),
    cluster_by=("user_id",),
    rebuild_instructions=_REBUILD,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym", "pseudonym"),
        required(USER_BUCKET, INT, "hash bucket of user_id, part of every MERGE condition"),
        required("events", T.ArrayType(PAST_EVENT), "the last events, oldest first", "text"),
        required("older", T.ArrayType(PAST_COUNT), "counts of older events, by day", "fact"),
        optional("older_known_ts", TIMESTAMP, "when the last of all older events became known"),
        required("first_ts", TIMESTAMP, "time of the user's first event, UTC"),
        required("events_version", LONG, "Delta version of events that it was computed from"),
    ),
)

USER_HISTORIES_STATE = Table(
    "user_histories_state",
    "Definition and table version that all histories were computed from",
    key=("table_ids",),
    rebuild_instructions=_REBUILD,
    columns=(
        required("table_ids", STRING, "Delta id of events"),
        required("definition", STRING, "hash of the shape of histories and of their settings"),
        required("events_version", LONG, "Delta version of events that all histories know"),
    ),
)
