"""Declare the tables of events, rejected events and sessions."""

from collections.abc import Iterable

from profile_lib.tables.table import (
    DATE,
    DOUBLE,
    INT,
    INTS,
    LONG,
    REINGEST_INSTRUCTIONS,
    STRING,
    STRINGS,
    TIMESTAMP,
    Table,
    TableColumn,
    optional,
    required,
    rerun_instructions,
)

EVENT_TYPES = (
    "search", "view", "click", "favourite", "cart", "uncart",
    "checkout", "purchase", "review", "page",
)  # fmt: skip

# The kinds of pages that show how near a user is to an order, as values of the column `step`.
STEPS = ("home", "list", "account", "basket", "signin", "details", "payment", "confirm", "done")

# The steps to an order, first to last: an item in the cart, then the pages of the checkout.
FUNNEL_STEPS = ("cart", "basket", "signin", "details", "payment", "confirm", "done")

# Columns of events that describe the device and how the user came, not what the user did. A model
# may read each of them as a category.
CONTEXT_COLUMNS = ("channel", "device", "region", "referrer", "system", "browser")


def count_columns(suffix: str, scope: str) -> Iterable[TableColumn]:
    """Declare one count per event type.

    Its comment is "number of … events" followed by `scope`, such as "in the session".
    """
    for event_type in EVENT_TYPES:
        yield required(f"n_{event_type}{suffix}", LONG, f"number of {event_type} events {scope}")


EVENTS = Table(
    "events",
    "Cleaned events of all sources, one row per event",
    key=("event_id",),
    partition_by=("event_date",),
    cluster_by=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("event_id", STRING, "id in the source, else a hash of the row"),
        required("user_id", STRING, "pseudonym: HMAC-SHA-256 of the source's id, hex"),
        required("event_ts", TIMESTAMP, "time of the event, UTC"),
        required("event_date", DATE, "UTC date of event_ts"),
        required("event_type", STRING, "one of " + ", ".join(EVENT_TYPES)),
        optional("item_id", STRING, "item that the event is about"),
        optional("query", STRING, "normalised search text"),
        optional("text", STRING, "normalised review or page title"),
        optional("rating", DOUBLE, "stars, 1 to 5"),
        optional("price", DOUBLE, "price of one piece, in the shop's currency"),
        optional("quantity", INT, "number of pieces"),
        optional("dwell_seconds", DOUBLE, "time spent on the page, seconds"),
        optional("position", INT, "position in the list that showed the item, from 1"),
        optional("session_hint", STRING, "session id in the source; stored only"),
        optional("order_id", STRING, "order id in the source, the same for all lines of an order"),
        optional("channel", STRING, "how the user came"),
        optional("device", STRING, "desktop, mobile, tablet or app"),
        optional("region", STRING, "region of the user at the event"),
        optional("referrer", STRING, "site, search engine or campaign that the user came from"),
        optional("system", STRING, "operating system"),
        optional("browser", STRING, "browser, or name of the app"),
        optional("step", STRING, "kind of page, one of " + ", ".join(STEPS)),
        required("source", STRING, "name of the mapping that the event came through"),
        required("ingest_ts", TIMESTAMP, "time of arrival, UTC"),
    ),
)

REJECTED_EVENTS = Table(
    "rejected_events",
    "Source rows that break a rule, with the reasons",
    key=("row_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("row_id", STRING, "hash of row and reasons"),
        required("source", STRING, "name of the mapping that the row came through"),
        optional("user_id", STRING, "pseudonym; null if the row has no user"),
        optional("event_id", STRING, "as in events; null if the row has none"),
        optional("event_ts", TIMESTAMP, "time of the event, UTC; null if it cannot be read"),
        required("reasons", STRINGS, "one sentence per rule that the row breaks"),
        required("row", STRING, "readable fields of the row as JSON, without the source's user id"),
        optional("ingest_ts", TIMESTAMP, "time of arrival, UTC; null if it cannot be read"),
    ),
)

SESSIONS = Table(
    "sessions",
    "Events of one user without a gap longer than the limit",
    key=("session_id",),
    partition_by=("session_date",),
    cluster_by=("user_id",),
    rebuild_instructions=rerun_instructions("build_sessions"),
    columns=(
        required("session_id", STRING, "user_id and the time of the first event, microseconds"),
        required("user_id", STRING, "pseudonym"),
        required("session_date", DATE, "UTC date of start_ts"),
        required("start_ts", TIMESTAMP, "time of the first event, UTC"),
        required("end_ts", TIMESTAMP, "time of the last event, UTC"),
        required("n_events", LONG, "number of events"),
        *count_columns("", "in the session"),
        required("n_items", LONG, "number of distinct items"),
        required("dwell_seconds", DOUBLE, "sum of dwell_seconds over the events, seconds"),
        required("click_positions", INTS, "positions of the clicks in order of time, from 1"),
        required("path", STRINGS, "event types in order of time, without consecutive repeats"),
        required(
            "order_value", DOUBLE, "price times quantity of purchases, in the shop's currency"
        ),
        optional("channel", STRING, "channel of the first event that has one"),
        optional("device", STRING, "device of the first event that has one"),
        optional("region", STRING, "region of the first event that has one"),
    ),
)
