"""Declare the table of behaviour, and the numbers and categories that a model reads."""

from pyspark.sql import types as T

from profile_lib.tables.events import CONTEXT_COLUMNS, STEPS, count_columns
from profile_lib.tables.table import (
    BOOLEAN,
    COUNTS,
    DOUBLE,
    INT,
    LONG,
    STRING,
    TIMESTAMP,
    Table,
    TableColumn,
    optional,
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

# Spans before the cutoff in which events are counted: days, or the session under way.
WINDOWS: dict[str, int | None] = {"session": None, "1d": 1, "7d": 7, "30d": 30}

# Everything a model may read as a number; heavy-tailed ones are logged by the model itself.
NUMERIC_FEATURES: tuple[TableColumn, ...] = (
    *(c for w in WINDOWS for c in count_columns(f"_{w}", f"in the last {w}")),
    *count_columns("", "ever"),
    *(
        required(f"n_{s}_step{suffix}", LONG, f"events on the page {s} {of}")
        for suffix, of in (("_session", "in the session under way"), ("", "ever"))
        for s in STEPS
    ),
    *(optional(f"seconds_since_{s}_step", DOUBLE, f"since the last event on {s}") for s in STEPS),
    *(
        required(f"funnel_depth{suffix}", INT, f"place in FUNNEL_STEPS, 0 for none, {of}")
        for suffix, of in (
            ("_session", "in the session under way"),
            ("", "ever"),
            ("_since_purchase", "since the last purchase"),
            ("_last", "when last on the way"),
        )
    ),
    optional("events_since_funnel_step", LONG, "since the last event on the way to an order"),
    optional("seconds_since_funnel_step", DOUBLE, "since the last event on the way to an order"),
    required("n_events", LONG, "events ever"),
    required("n_sessions", LONG, "sessions ever, the one under way included"),
    required("n_items", LONG, "different items ever"),
    required("n_items_session", LONG, "different items in the session under way"),
    required("n_categories_session", LONG, "different categories in the session under way"),
    required("max_views_per_item", LONG, "views and clicks of the item seen most, in 7 days"),
    required("n_items_added", LONG, "different items put in the cart ever"),
    required("n_items_added_session", LONG, "different items put in the cart in the session"),
    required("n_views_last_item", LONG, "views and clicks of the item met last, in 7 days"),
    optional("is_last_item_added", BOOLEAN, "whether the item met last was put in the cart"),
    optional("last_seen_price", DOUBLE, "price of the item viewed or clicked last"),
    optional("last_added_price", DOUBLE, "price of the item put in the cart last"),
    optional("max_price_session", DOUBLE, "highest price met in the session under way"),
    required(
        "n_in_cart", LONG, "pieces put in the cart less those taken out, since the last purchase"
    ),
    optional("cart_value", DOUBLE, "their price"),
    required("n_orders", LONG, "orders ever"),
    required("order_value", DOUBLE, "price times quantity over all purchases"),
    optional("mean_price", DOUBLE, "mean price of the items seen"),
    optional("price_level", DOUBLE, "mean price level of the items seen, 0 to 1 in their category"),
    optional("bought_price_level", DOUBLE, "mean price level of the items bought"),
    optional("rating", DOUBLE, "mean rating given, 1 to 5"),
    required("session_seconds", DOUBLE, "since the session under way began"),
    required("session_dwell_seconds", DOUBLE, "dwell in the session under way"),
    required("last_gap_seconds", DOUBLE, "between the last two events, 0 where there is one"),
    required("seconds_since_event", DOUBLE, "since the last event"),
    optional("seconds_since_cart", DOUBLE, "since the last cart event"),
    optional("seconds_since_checkout", DOUBLE, "since the last checkout event"),
    optional("seconds_since_purchase", DOUBLE, "since the last purchase"),
    required("days_since_first_event", DOUBLE, "since the first event, days"),
    required("hour", INT, "UTC hour of the cutoff"),
    required("weekday", INT, "day of the week of the cutoff, 1 is Sunday"),
)

# Everything a model may read as one of several values: columns of examples.
CATEGORICAL_FEATURES = CONTEXT_COLUMNS

BEHAVIOUR_COLUMNS: tuple[TableColumn, ...] = (
    required("user_id", STRING, "pseudonym"),
    required("cutoff_ts", TIMESTAMP, "only what was known before it counts"),
    required("last_event_ts", TIMESTAMP, "time of the last event before the cutoff"),
    *NUMERIC_FEATURES,
    required("categories", INTERESTS, "interest by category as of the last event, strongest first"),
    required("brands", INTERESTS, "interest by brand as of the last event, strongest first"),
    required("keywords", INTERESTS, "interest by word, TF-IDF, as of the last event"),
    required("active_hours", T.ArrayType(LONG), "events in each of the 24 UTC hours"),
    required("channels", COUNTS, "events by channel"),
    required("devices", COUNTS, "events by device"),
    required("regions", COUNTS, "events by region"),
    required("referrers", COUNTS, "events by referrer"),
    required("systems", COUNTS, "events by operating system"),
    required("browsers", COUNTS, "events by browser"),
    required("recent", T.ArrayType(RECENT_EVENT), "the last events, newest first"),
)

BEHAVIOUR = Table(
    "behaviour",
    "What was known of a user at a cutoff",
    key=("user_id", "cutoff_ts"),
    rebuild_instructions=rerun_instructions("build_behaviour"),
    columns=BEHAVIOUR_COLUMNS,
)
