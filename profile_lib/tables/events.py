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

# Kinds of pages that tell how near an order is.
STEPS = ("home", "list", "account", "basket", "signin", "details", "payment", "confirm", "done")

# How near an order one is, nearer and nearer: an item in the cart, then the pages of the till.
FUNNEL_STEPS = ("cart", "basket", "signin", "details", "payment", "confirm", "done")

# What a client says of itself and of how it came, not of the user's act.
CONTEXT_COLUMNS = ("channel", "device", "region", "referrer", "system", "browser")


def count_columns(suffix: str, of: str) -> Iterable[TableColumn]:
    for kind in EVENT_TYPES:
        yield required(f"n_{kind}{suffix}", LONG, f"number of {kind} events {of}")


EVENTS = Table(
    "events",
    "Clean events of all sources, one row an event",
    key=("event_id",),
    partition_by=("event_date",),
    cluster_by=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("event_id", STRING, "given by the source, or a hash of the row"),
        required("user_id", STRING, "keyed pseudonym: HMAC-SHA-256 of the source's id, hex"),
        required("event_ts", TIMESTAMP, "when it happened, UTC"),
        required("event_date", DATE, "the UTC date of event_ts"),
        required("event_type", STRING, "one of " + ", ".join(EVENT_TYPES)),
        optional("item_id", STRING, "the item it concerns"),
        optional("query", STRING, "normalised search text"),
        optional("text", STRING, "normalised review or page title"),
        optional("rating", DOUBLE, "stars, 1 to 5"),
        optional("price", DOUBLE, "price of one piece, in the shop's currency"),
        optional("quantity", INT, "pieces"),
        optional("dwell_seconds", DOUBLE, "time spent on it, seconds"),
        optional("position", INT, "place in the list it was shown in, from 1"),
        optional("session_hint", STRING, "the source's own session id"),
        optional("order_id", STRING, "the source's order, one for all lines of a purchase"),
        optional("channel", STRING, "how the user came"),
        optional("device", STRING, "desktop, mobile, tablet, app"),
        optional("region", STRING, "where the user is"),
        optional("referrer", STRING, "the site, search engine or campaign the user came from"),
        optional("system", STRING, "operating system"),
        optional("browser", STRING, "browser, or name of the app"),
        optional("step", STRING, "kind of page it happened on, one of " + ", ".join(STEPS)),
        required("source", STRING, "name of the mapping it came by"),
        required("ingest_ts", TIMESTAMP, "when it was known here, UTC"),
    ),
)

REJECTED_EVENTS = Table(
    "rejected_events",
    "Rows that broke the contract, with the reasons",
    key=("row_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("row_id", STRING, "hash of row and reasons"),
        required("source", STRING, "name of the mapping it came by"),
        optional("user_id", STRING, "pseudonym, where the row had a user"),
        optional("event_id", STRING, "as in events, where the row has one"),
        optional("event_ts", TIMESTAMP, "when it happened, where that could be read"),
        required("reasons", STRINGS, "what is wrong, one sentence a rule"),
        required("row", STRING, "what could be read of the row as JSON, without the raw user id"),
        optional("ingest_ts", TIMESTAMP, "when it was known here, where that could be read"),
    ),
)

SESSIONS = Table(
    "sessions",
    "Events of a user without a gap longer than the limit",
    key=("session_id",),
    partition_by=("session_date",),
    cluster_by=("user_id",),
    rebuild_instructions=rerun_instructions("build_sessions"),
    columns=(
        required("session_id", STRING, "user_id and the time of the first event"),
        required("user_id", STRING, "pseudonym"),
        required("session_date", DATE, "the UTC date of start_ts"),
        required("start_ts", TIMESTAMP, "time of the first event"),
        required("end_ts", TIMESTAMP, "time of the last event"),
        required("n_events", LONG, "number of events"),
        *count_columns("", "in the session"),
        required("n_items", LONG, "number of different items"),
        required("dwell_seconds", DOUBLE, "sum over the session's events, seconds"),
        required("click_positions", INTS, "positions of the clicks, in order of time"),
        required("path", STRINGS, "kinds of events in order of time, repeats in a row dropped"),
        required("order_value", DOUBLE, "price times quantity over the purchases"),
        optional("channel", STRING, "of the first event that has one"),
        optional("device", STRING, "of the first event that has one"),
        optional("region", STRING, "of the first event that has one"),
    ),
)
