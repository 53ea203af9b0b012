"""Declare the tables that say which ids are one person."""

from profile_lib.tables.table import (
    LONG,
    REINGEST_INSTRUCTIONS,
    STRING,
    TIMESTAMP,
    Table,
    optional,
    required,
)

# Kinds of ids. A value is no id of a person: it stands for an equal fact or order id.
USER, DEVICE, ANONYMOUS, VALUE = "user", "device", "anonymous", "value"
# Kind of an id that an event may have beside a login, or in its place → its column of events.
CARRIERS = {DEVICE: "device_id", ANONYMOUS: "anonymous_id"}
# Kinds of links, the surest first.
LOGIN, SOURCE, RULE, PROBABLE = "login", "source", "rule", "probable"
RUN_MINUTES = 15  # evidence of one pair within as many minutes is one row of identity_links

REBUILD_PEOPLE = "move {path} away: the next ingestion then links all people again"

IDENTITY_LINKS = Table(
    "identity_links",
    "Evidence that two ids are one person, per pair and quarter of an hour",
    key=("user_id", "other_id", "kind", "source", "run_ts"),
    cluster_by=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym of an id", "pseudonym"),
        required("user_kind", STRING, f"kind of user_id: {USER}, {DEVICE} or {ANONYMOUS}"),
        required("other_id", STRING, "pseudonym of the other id, or keyed value", "pseudonym"),
        required("other_kind", STRING, f"kind of other_id: as user_kind, or {VALUE}"),
        required(
            "kind",
            STRING,
            f"{LOGIN}: both in one event; {SOURCE}: the source's own link; {RULE}: an equal value; "
            f"{PROBABLE}: an equal value that need not mean one person",
        ),
        required("source", STRING, "name of the mapping, or of the rule in people.rules"),
        required("run_ts", TIMESTAMP, "beginning of the quarter of an hour, UTC"),
        optional("first_ts", TIMESTAMP, "first evidence, from which the link is valid, UTC"),
        optional("last_ts", TIMESTAMP, "last evidence; null: the row only undoes, UTC"),
        optional("known_ts", TIMESTAMP, "time from which the first evidence was known, UTC"),
        optional(
            "undone_ts", TIMESTAMP, "evidence of the pair until then does not count, UTC; null: all"
        ),
    ),
)

PEOPLE = Table(
    "people",
    "Person of each linked id; an id without a row is a person of its own",
    key=("user_id", "interval"),
    cluster_by=("user_id",),
    rebuild_instructions=REBUILD_PEOPLE,
    change_feed=True,
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym, as in events", "pseudonym"),
        required("interval", LONG, "from_ts, microseconds since 1970; 0: for all time"),
        optional("from_ts", TIMESTAMP, "events from then on belong to the person, UTC; null: all"),
        optional("until_ts", TIMESTAMP, "events before it belong to the person, UTC; null: all"),
        required("person_id", STRING, "the person's id: one of its user_id", "pseudonym"),
        required("known_ts", TIMESTAMP, "time from which the links to person_id were known, UTC"),
    ),
)

PEOPLE_STATE = Table(
    "people_state",
    "Version of identity_links that people was computed from",
    key=("name",),
    rebuild_instructions=REBUILD_PEOPLE,
    columns=(
        required("name", STRING, "name of the table: identity_links"),
        required("version", LONG, "its Delta version"),
        required("delta_table", STRING, "its Delta id, which changes if it is recreated"),
        required("definition", STRING, "hash of the settings"),
    ),
)
