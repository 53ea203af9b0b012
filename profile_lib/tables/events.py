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
    PersonalData,
    Table,
    TableColumn,
    optional,
    required,
    rerun_instructions,
)

EVENT_TYPES = (
    "search", "view", "click", "favourite", "cart", "uncart",
    "checkout", "purchase", "review", "page", "return", "share",
)  # fmt: skip

# The order of a user's events. Events of one time without a sequence come before those with one.
EVENT_ORDER = ("event_ts", "sequence", "event_id")

# Advice if files of the past arrived so late that no moment of their time knows their events.
PAST_INSTRUCTIONS = (
    "If the files are an export of the past, move the tables away, set ingest_ts to the time of "
    "the event in the mapping's columns, and ingest again"
)

PSEUDONYM: PersonalData = "pseudonym"

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
        required(
            "event_id", STRING, "keyed hash of the id in the source, else of the row", PSEUDONYM
        ),
        required(
            "user_id",
            STRING,
            "pseudonym: keyed hash of the login in the id space; without one, device_id, else "
            "anonymous_id",
            PSEUDONYM,
        ),
        required("event_ts", TIMESTAMP, "time of the event, UTC"),
        required("event_date", DATE, "UTC date of event_ts"),
        required("event_type", STRING, "one of " + ", ".join(EVENT_TYPES)),
        optional(
            "sequence", LONG, "order among events of the same time, in the source or its file"
        ),
        optional("item_id", STRING, "item that the event is about"),
        optional("query", STRING, "normalised search text, personal data masked", "text"),
        optional("text", STRING, "normalised review or page title, personal data masked", "text"),
        optional("language", STRING, "language of query or text, ISO 639-1; null: not recognised"),
        optional("rating", DOUBLE, "stars, 1 to 5"),
        optional("price", DOUBLE, "price of one piece, in the base currency"),
        optional("quantity", DOUBLE, "number of pieces, not negative; null: one"),
        optional("dwell_seconds", DOUBLE, "time spent on the page, seconds"),
        optional("position", INT, "position in the list that showed the item, from 1"),
        optional("session_hint", STRING, "keyed hash of the session id in the source", PSEUDONYM),
        optional("order_id", STRING, "keyed hash of the order id, equal for its lines", PSEUDONYM),
        optional("device_id", STRING, "keyed hash of the device's id", PSEUDONYM),
        optional("anonymous_id", STRING, "keyed hash of the browser's id", PSEUDONYM),
        optional("channel", STRING, "how the user came"),
        optional("device", STRING, "desktop, mobile, tablet or app"),
        optional("region", STRING, "region of the user at the event", "fact"),
        optional(
            "time_zone", STRING, "IANA zone of the user at the event; null: the shop's", "fact"
        ),
        optional("referrer", STRING, "site, search engine or campaign that the user came from"),
        optional("system", STRING, "operating system"),
        optional("browser", STRING, "browser, or name of the app"),
        optional("step", STRING, "kind of page, one of " + ", ".join(STEPS)),
        required("source", STRING, "name of the mapping that the event came through"),
        required("ingest_ts", TIMESTAMP, "time of arrival at the source or here, UTC"),
        required("load_date", DATE, "day of the run that added the event, UTC"),
    ),
)

REJECTED_EVENTS = Table(
    "rejected_events",
    "Source rows that break a rule, with the reasons",
    key=("row_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("row_id", STRING, "keyed hash of the row's place, or event_id", PSEUDONYM),
        required("source", STRING, "name of the mapping that the row came through"),
        optional("user_id", STRING, "pseudonym; null if the row has no user", PSEUDONYM),
        optional("event_id", STRING, "as in events; null if the row has none", PSEUDONYM),
        optional("event_ts", TIMESTAMP, "time of the event, UTC; null if it cannot be read"),
        required("reasons", STRINGS, "rules of the row that are broken, such as user_id: missing"),
        optional(
            "row",
            STRING,
            "the row's columns of events as JSON; null if it is no event",
            "event row",
        ),
        optional("file", STRING, "path of the file or topic that held the row"),
        optional("row_number", LONG, "number of the row in its file, from 0; offset in the topic"),
        required("ingest_ts", TIMESTAMP, "time of arrival, UTC"),
        required("load_date", DATE, "day of the run that read the row, UTC"),
    ),
)

SESSIONS_STATE = Table(
    "sessions_state",
    "Version of people by which the sessions were built",
    key=("name",),
    rebuild_instructions="move {path} away and run python jobs/build_sessions.py --config FILE",
    columns=(
        required("name", STRING, "name of the table: sessions"),
        required("people_version", LONG, "Delta version of people; -1: there was no such table"),
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
        required(
            "session_id",
            STRING,
            "user_id and the time of the first event, microseconds",
            "composite pseudonym",
        ),
        required("user_id", STRING, "pseudonym", PSEUDONYM),
        required("session_date", DATE, "UTC date of start_ts"),
        required("start_ts", TIMESTAMP, "time of the first event, UTC"),
        required("end_ts", TIMESTAMP, "time of the last event, UTC"),
        required("n_events", LONG, "number of events"),
        *count_columns("", "in the session"),
        required("n_items", LONG, "number of distinct items"),
        required("dwell_seconds", DOUBLE, "sum of dwell_seconds over the events, seconds"),
        required("click_positions", INTS, "positions of the clicks in order, from 1"),
        required("path", STRINGS, "event types in order, without consecutive repeats"),
        required(
            "order_value",
            DOUBLE,
            "price times quantity of purchases less that of returns, in the shop's currency",
        ),
        optional("channel", STRING, "channel of the first event that has one"),
        optional("device", STRING, "device of the first event that has one"),
        optional("region", STRING, "region of the first event that has one", "fact"),
    ),
)
