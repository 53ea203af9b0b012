"""Declare the table of behaviour and the numbers that a model reads."""

from pyspark.sql import types as T

from profile_lib.tables.events import STEPS, count_columns
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

# Spans before the cutoff in which events are counted: days, or None for the current session.
WINDOWS: dict[str, int | None] = {"session": None, "1d": 1, "7d": 7, "30d": 30}

# Everything that a model may read as a number; the model takes the logarithm of heavy-tailed ones.
NUMERIC_FEATURES: tuple[TableColumn, ...] = (
    *(c for w in WINDOWS for c in count_columns(f"_{w}", f"in the last {w}")),
    *count_columns("", "ever"),
    *(
        required(f"n_{step}_step{suffix}", LONG, f"number of events on the page {step} {scope}")
        for suffix, scope in (("_session", "in the current session"), ("", "ever"))
        for step in STEPS
    ),
    *(
        optional(f"seconds_since_{step}_step", DOUBLE, f"seconds since the last event on {step}")
        for step in STEPS
    ),
    *(
        required(f"funnel_depth{suffix}", INT, f"{scope} position in FUNNEL_STEPS; 0 for none")
        for suffix, scope in (
            ("_session", "in the current session: furthest"),
            ("", "ever: furthest"),
            ("_since_purchase", "since the last purchase: furthest"),
            ("_last", "latest"),
        )
    ),
    optional("events_since_funnel_step", LONG, "number of events since the last funnel step"),
    optional("seconds_since_funnel_step", DOUBLE, "seconds since the last funnel step"),
    required("n_events", LONG, "number of events ever"),
    required("n_sessions", LONG, "number of sessions ever, the current one included"),
    required("n_items", LONG, "number of different items ever"),
    required("n_items_session", LONG, "number of different items in the current session"),
    required("n_categories_session", LONG, "number of different categories in the current session"),
    required("max_views_per_item", LONG, "most views and clicks of one item, in 7 days"),
    required("n_items_added", LONG, "number of different items added to the cart ever"),
    required(
        "n_items_added_session", LONG, "number of different items added in the current session"
    ),
    required("n_views_last_item", LONG, "views and clicks of the latest item, in 7 days"),
    optional("is_last_item_added", BOOLEAN, "whether the latest item was ever added to the cart"),
    optional("last_seen_price", DOUBLE, "price last viewed or clicked, in the shop's currency"),
    optional("last_added_price", DOUBLE, "price last added to the cart, in the shop's currency"),
    optional(
        "max_price_session", DOUBLE, "highest price in the current session, in the shop's currency"
    ),
    required(
        "n_in_cart", LONG, "pieces added to the cart less those removed, since the last purchase"
    ),
    optional("cart_value", DOUBLE, "price of the pieces in the cart, in the shop's currency"),
    required("n_orders", LONG, "number of orders ever"),
    required(
        "order_value", DOUBLE, "price times quantity of all purchases, in the shop's currency"
    ),
    optional(
        "mean_price", DOUBLE, "mean price of all events that have one, in the shop's currency"
    ),
    optional("price_level", DOUBLE, "mean price level of the items seen, 0 to 1 in their category"),
    optional("bought_price_level", DOUBLE, "mean price level of the items bought, 0 to 1"),
    optional("rating", DOUBLE, "mean rating by the user, stars, 1 to 5"),
    required("session_seconds", DOUBLE, "seconds since the current session began"),
    required("session_dwell_seconds", DOUBLE, "dwell time in the current session, seconds"),
    required("last_gap_seconds", DOUBLE, "seconds between the last two events, 0 with only one"),
    required("seconds_since_event", DOUBLE, "seconds since the last event"),
    optional("seconds_since_cart", DOUBLE, "seconds since the last cart event"),
    optional("seconds_since_checkout", DOUBLE, "seconds since the last checkout event"),
    optional("seconds_since_purchase", DOUBLE, "seconds since the last purchase"),
    required("days_since_first_event", DOUBLE, "days since the first event"),
    required("hour", INT, "UTC hour of the cutoff, 0 to 23"),
    required("weekday", INT, "UTC day of the week of the cutoff, 1 to 7, 1 is Sunday"),
)

# Columns that behaviour and profiles share.
INTEREST_COLUMNS: tuple[TableColumn, ...] = (
    required("categories", INTERESTS, "interest by category as of the last event, strongest first"),
    required("brands", INTERESTS, "interest by brand as of the last event, strongest first"),
    required("keywords", INTERESTS, "interest by word as of the last event, TF-IDF"),
)
HABIT_COLUMNS: tuple[TableColumn, ...] = (
    required("active_hours", T.ArrayType(LONG), "number of events in each of the 24 UTC hours"),
    required("channels", COUNTS, "number of events by channel"),
    required("devices", COUNTS, "number of events by device"),
    required("regions", COUNTS, "number of events by region"),
)
RECENT_COLUMN = required("recent", T.ArrayType(RECENT_EVENT), "the last events, newest first")

BEHAVIOUR = Table(
    "behaviour",
    "Aggregated events of a user that were known at a cutoff",
    key=("user_id", "cutoff_ts"),
    rebuild_instructions=rerun_instructions("build_behaviour"),
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("cutoff_ts", TIMESTAMP, "only what was known before this moment counts, UTC"),
        required("last_event_ts", TIMESTAMP, "time of the last event before the cutoff, UTC"),
        *NUMERIC_FEATURES,
        *INTEREST_COLUMNS,
        *HABIT_COLUMNS,
        required("referrers", COUNTS, "number of events by referrer"),
        required("systems", COUNTS, "number of events by operating system"),
        required("browsers", COUNTS, "number of events by browser"),
        RECENT_COLUMN,
    ),
)
