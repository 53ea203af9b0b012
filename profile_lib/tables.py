"""The contract: every table is declared once here, with its columns, key and partitioning.

Knows the shape of the data, not where it is stored nor how it is computed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from profile_lib.errors import InputError

STRING, DOUBLE, LONG, INT = T.StringType(), T.DoubleType(), T.LongType(), T.IntegerType()
TIMESTAMP, DATE, BOOLEAN = T.TimestampType(), T.DateType(), T.BooleanType()
STRINGS, INTS = T.ArrayType(STRING), T.ArrayType(INT)
COUNTS = T.MapType(STRING, LONG)

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


@dataclass(frozen=True)
class TableColumn:
    """One declared column; `comment` says what it holds, with its unit."""

    name: str
    type: T.DataType
    comment: str
    required: bool


def required(name: str, type: T.DataType, comment: str) -> TableColumn:
    """A column that is never null."""
    return TableColumn(name, type, comment, required=True)


def optional(name: str, type: T.DataType, comment: str) -> TableColumn:
    """A column that may be null: unknown, or not given by the source."""
    return TableColumn(name, type, comment, required=False)


@dataclass(frozen=True)
class Table:
    """A declared table: one row a `key`, files laid out by `partition_by`.

    `rebuild_instructions` is what to do where the table that lies at `{path}` cannot be brought to this shape.
    """

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    rebuild_instructions: str
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()  # rows near each other by these lie in the same files
    change_feed: bool = False  # each commit's changed rows can be read afterwards
    deletion_vectors: bool = False  # a changed row is marked in its file, which stays as it is

    @property
    def properties(self) -> dict[str, str]:
        """The Delta properties that the table is to have."""
        wanted = {
            "delta.enableChangeDataFeed": self.change_feed,
            "delta.enableDeletionVectors": self.deletion_vectors,
        }
        return {name: "true" for name, is_wanted in wanted.items() if is_wanted}

    @property
    def schema(self) -> T.StructType:
        """The Spark schema with comments; Delta refuses a null in a required column."""
        return T.StructType(
            [
                T.StructField(c.name, c.type, not c.required, {"comment": c.comment})
                for c in self.columns
            ]
        )

    def column_names(self) -> list[str]:
        """The column names in declared order."""
        return [c.name for c in self.columns]

    def conform(self, frame: DataFrame) -> DataFrame:
        """The frame with exactly the declared columns, in order.

        Raises InputError that names every missing, unexpected and wrongly typed column.
        """
        found = {f.name: f.dataType for f in frame.schema.fields}
        declared = {c.name: c.type for c in self.columns}
        problems = list(schema_differences(found, declared))
        if problems:
            raise InputError(f"{self.name}: {', '.join(problems)}")
        return frame.select(*self.column_names())


def schema_differences(
    found: dict[str, T.DataType], declared: dict[str, T.DataType]
) -> Iterator[str]:
    """What tells found columns from declared ones: missing, unexpected, of the wrong type."""
    if missing := [n for n in declared if n not in found]:
        yield f"missing {missing}"
    if unexpected := [n for n in found if n not in declared]:
        yield f"unexpected {unexpected}"
    wrong = [
        f"{n}: {found[n].simpleString()}, declared {declared[n].simpleString()}"
        for n in declared
        if n in found and found[n].simpleString() != declared[n].simpleString()
    ]
    if wrong:
        yield f"wrong type {wrong}"


def _count_columns(suffix: str, of: str) -> Iterable[TableColumn]:
    for kind in EVENT_TYPES:
        yield required(f"n_{kind}{suffix}", LONG, f"number of {kind} events {of}")


REINGEST_INSTRUCTIONS = (
    "move {path} away, run python jobs/ingest_events.py --config FILE on all that ever came, then "
    "refresh_profiles with --rebuild"
)
RESEGMENT_INSTRUCTIONS = "move {path} away and run python jobs/segment_users.py --config FILE"


def _rerun_instructions(job: str) -> str:
    return f"run python jobs/{job}.py --config FILE, which writes it anew"


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

IDENTITY = Table(
    "identity",
    "The only table that holds raw user ids",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("raw_id", STRING, "the id in the source"),
        required("source", STRING, "name of the mapping it came by"),
    ),
)

USERS = Table(
    "users",
    "What is declared of a user",
    key=("user_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        optional("age_band", STRING, "declared age band, such as 25-34"),
        optional("gender", STRING, "declared gender"),
        optional("region", STRING, "declared region, else the last one seen"),
        optional("region_seen_ts", TIMESTAMP, "when it was seen, UTC; null where declared"),
        required("attributes", T.MapType(STRING, STRING), "whatever else the source declares"),
        required("first_seen_ts", TIMESTAMP, "time of the first event, UTC"),
    ),
)

ITEMS = Table(
    "items",
    "The catalogue, given or derived from events",
    key=("item_id",),
    rebuild_instructions=REINGEST_INSTRUCTIONS,
    change_feed=True,
    columns=(
        required("item_id", STRING, "the item"),
        optional("title", STRING, "normalised title"),
        optional("category", STRING, "most specific category, normalised"),
        optional("brand", STRING, "brand, normalised"),
        optional("price", DOUBLE, "median price seen, in the shop's currency"),
        optional("price_level", DOUBLE, "share of its category's items that cost less, 0 to 1"),
        required("keywords", STRINGS, "counted words of the title: stemmed, no stop words"),
    ),
)

SESSIONS = Table(
    "sessions",
    "Events of a user without a gap longer than the limit",
    key=("session_id",),
    partition_by=("session_date",),
    cluster_by=("user_id",),
    rebuild_instructions=_rerun_instructions("build_sessions"),
    columns=(
        required("session_id", STRING, "user_id and the time of the first event"),
        required("user_id", STRING, "pseudonym"),
        required("session_date", DATE, "the UTC date of start_ts"),
        required("start_ts", TIMESTAMP, "time of the first event"),
        required("end_ts", TIMESTAMP, "time of the last event"),
        required("n_events", LONG, "number of events"),
        *_count_columns("", "in the session"),
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
    *(c for w in WINDOWS for c in _count_columns(f"_{w}", f"in the last {w}")),
    *_count_columns("", "ever"),
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
    rebuild_instructions=_rerun_instructions("build_behaviour"),
    columns=BEHAVIOUR_COLUMNS,
)

EXAMPLES = Table(
    "examples",
    "What a model sees at a cutoff, and what came after it",
    key=("user_id", "cutoff_ts"),
    rebuild_instructions=_rerun_instructions("build_examples"),
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("cutoff_ts", TIMESTAMP, "only what was known before it is input"),
        required("split", STRING, "train, validation or test, by time"),
        required("text", STRING, "recent behaviour, newest first, events parted by [SEP]"),
        required("token_ids", INTS, "text in the encoder's vocabulary, padded to a fixed length"),
        required("n_tokens", INT, "true length of token_ids"),
        required("numeric", T.ArrayType(DOUBLE), "NUMERIC_FEATURES in order, NaN where unknown"),
        optional("top_category", STRING, "most seen category: what the simplest rule would say"),
        optional("buys", INT, "1 where a purchase falls within the horizon, else 0"),
        required("spend", DOUBLE, "price times quantity over the purchases within the horizon"),
        optional("next_category", STRING, "category of the next item within the horizon"),
        required("next_categories", STRINGS, "categories of the items within the horizon"),
        optional("age_band", STRING, "as declared, null where unknown"),
        optional("gender", STRING, "as declared, null where unknown"),
        optional("attributes", T.MapType(STRING, STRING), "whatever else is declared"),
        required("is_returning", BOOLEAN, "whether it is not the user's first session"),
        *(optional(n, STRING, "the one most seen before the cutoff") for n in CONTEXT_COLUMNS),
        required("sampling_weight", DOUBLE, "1 / probability with which the example was kept"),
    ),
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

RECOMMENDATION_REASON = T.StructType(
    [T.StructField(name, STRING) for name in ("source", "item_id", "text")]
)
RECOMMENDATIONS = Table(
    "recommendations",
    "What each user is to be shown, best first",
    key=("user_id", "rank"),
    partition_by=("user_bucket",),
    rebuild_instructions="move {path} away and run python jobs/recommend_items.py --config FILE",
    deletion_vectors=True,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("user_bucket", INT, "hash bucket of user_id, in every MERGE condition"),
        required("rank", INT, "place in the list, from 1"),
        required("item_id", STRING, "the item"),
        required("score", DOUBLE, "what the ranker expects of it, higher is better"),
        required("sources", STRINGS, "sources that named it"),
        required(
            "reasons",
            T.ArrayType(RECOMMENDATION_REASON),
            "why it is there: the source, the user's item, a text",
        ),
        required("recommender_version", STRING, "the recommender that listed it"),
        required("model_version", STRING, "the model that the profile is by"),
        required("profiles_version", LONG, "Delta version of user_profiles that was read"),
        required("as_of_ts", TIMESTAMP, "only what was known of the user before it counts"),
    ),
)

RECOMMENDATION_REFRESH_STATE = Table(
    "recommendation_refresh_state",
    "How far each bucket of recommendations has been refreshed",
    key=("user_bucket",),
    rebuild_instructions="move {path} away: the next run of recommend_items then lists all anew",
    columns=(
        required("user_bucket", INT, "hash bucket of user_id"),
        required(
            "definition", STRING, "hash of the recommender, the rules and the id of user_profiles"
        ),
        required("profiles_version", LONG, "Delta version of user_profiles that it knows"),
    ),
)

# What a shown item is, by itself and by the request that it was shown in.
IMPRESSION_COLUMNS: tuple[TableColumn, ...] = (
    required("impression_id", STRING, "given by what showed it"),
    required("request_id", STRING, "one for all slots of a list"),
    required("user_id", STRING, "pseudonym"),
    required("item_id", STRING, "the item"),
    required("slot", INT, "place in the list, from 1"),
    required("shown_ts", TIMESTAMP, "when it was shown, UTC"),
    required("shown_date", DATE, "the UTC date of shown_ts"),
    required("sources", STRINGS, "sources that proposed it"),
    optional("segment", STRING, "of the user, when it was shown"),
    optional("propensity", DOUBLE, "probability with which this item was shown in this slot"),
    required("model_version", STRING, "the model that ranked it"),
    optional("experiment", STRING, "name of the experiment that the request was a part of"),
    optional("variant", STRING, "the user's arm of it"),
    optional("query", STRING, "normalised search text, where it was a search"),
    optional("channel", STRING, "as in events"),
    optional("device", STRING, "as in events"),
    optional("region", STRING, "as in events"),
)

IMPRESSIONS = Table(
    "impressions",
    "What was shown, one row an item in a slot of a list",
    key=("impression_id",),
    partition_by=("shown_date",),
    cluster_by=("user_id",),
    rebuild_instructions="move {path} away: what is shown from then on is logged anew",
    columns=(*IMPRESSION_COLUMNS, required("ingest_ts", TIMESTAMP, "when it was known here, UTC")),
)

FEEDBACK = Table(
    "feedback",
    "What became of each item shown",
    key=("impression_id",),
    partition_by=("shown_date",),
    cluster_by=("user_id",),
    rebuild_instructions=_rerun_instructions("record_feedback"),
    deletion_vectors=True,
    columns=(
        *IMPRESSION_COLUMNS,
        required("is_clicked", BOOLEAN, "whether a click is credited to it"),
        required("is_carted", BOOLEAN, "whether the item was put in the cart for it"),
        required("is_bought", BOOLEAN, "whether a purchase is credited to it"),
        required("revenue", DOUBLE, "price times quantity over these purchases"),
        optional("clicked_ts", TIMESTAMP, "time of the first click credited to it"),
        required("is_complete", BOOLEAN, "whether the window for all this is known to be over"),
    ),
)


def _metric_with_interval(name: str, comment: str) -> Iterable[TableColumn]:
    yield optional(name, DOUBLE, comment)
    yield optional(f"{name}_low", DOUBLE, "lower end of its interval, null where users are alike")
    yield optional(f"{name}_high", DOUBLE, "upper end of its interval, null where users are alike")


FEEDBACK_MEASURES = Table(
    "feedback_measures",
    "How well what was shown on a day did, by slot, source, segment, model, …",
    key=("shown_date", "dimension", "value"),
    rebuild_instructions=_rerun_instructions("record_feedback"),
    columns=(
        required("shown_date", DATE, "the day, of which items with complete feedback count"),
        required("dimension", STRING, "column of feedback, or all"),
        required("value", STRING, "value of the column, of each in a list; unknown where null"),
        required("n_users", LONG, "users who were shown something"),
        required("n_impressions", LONG, "items shown"),
        required("n_clicked", LONG, "of these clicked"),
        required("n_bought", LONG, "of these bought, with a click or without"),
        required("revenue", DOUBLE, "price times quantity over their purchases"),
        *_metric_with_interval("ctr", "share of the shown that was clicked"),
        *_metric_with_interval("cvr", "share of the clicked that was bought"),
        *_metric_with_interval("revenue_per_1000", "revenue per thousand shown"),
    ),
)

EXPERIMENT_READOUTS = Table(
    "experiment_readouts",
    "What a look at an experiment told, valid however often one looks",
    key=("as_of_date", "experiment", "variant", "measure"),
    rebuild_instructions="move {path} away and run python jobs/record_feedback.py --config FILE",
    columns=(
        required("as_of_date", DATE, "the UTC date of the last that was known"),
        required("experiment", STRING, "its name"),
        required("variant", STRING, "the arm that is compared with the control"),
        required("measure", STRING, "ctr, or revenue a user"),
        required("n_users", LONG, "users in the arm"),
        required("n_control", LONG, "users in the control"),
        optional("value", DOUBLE, "the measure in the arm"),
        optional("control_value", DOUBLE, "the measure in the control"),
        optional("difference", DOUBLE, "value less control_value"),
        optional("low", DOUBLE, "lower end of the difference's confidence sequence"),
        optional("high", DOUBLE, "upper end of the difference's confidence sequence"),
        optional("p_value", DOUBLE, "always valid: of no difference"),
        required("mismatch_p_value", DOUBLE, "always valid: of users in arms by the shares wanted"),
        required("verdict", STRING, "better, worse, open, early or mismatched"),
    ),
)

TERM = T.StructType(
    [
        T.StructField("name", STRING),
        T.StructField("share", DOUBLE),
        T.StructField("lift", DOUBLE),
    ]
)
TERMS = T.ArrayType(TERM)
USER_SEGMENTS = Table(
    "user_segments",
    "Where a user stands among all: by recency, frequency and money, and by interests",
    key=("user_id",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("user_id", STRING, "pseudonym"),
        required("recency_days", DOUBLE, "from the last event to as_of_ts, days"),
        optional("recency_score", INT, "5 for the latest fifth of those who ordered, to 1"),
        optional("frequency_score", INT, "5 for the fifth with most orders, to 1"),
        optional("monetary_score", INT, "5 for the fifth that spent most, to 1"),
        required("rfm_segment", STRING, "name of recency and frequency; Prospects: no order yet"),
        optional("cluster_id", INT, "as in clusters; null without a usable interest vector"),
        optional("cluster_margin", DOUBLE, "1 at the cluster's centre, 0 half-way to the next"),
        required("as_of_ts", TIMESTAMP, "up to when the profiles know"),
        required("model_version", STRING, "the model that the interest vectors are by"),
        required("clustering_version", LONG, "as in clusterings"),
    ),
)

CLUSTERS = Table(
    "clusters",
    "Users of like interests; an id lives on with its members and is never given again",
    key=("cluster_id",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("cluster_id", INT, "the cluster"),
        required("description", STRING, "what tells it from the others, in a line"),
        required("n_users", LONG, "its size"),
        *(
            required(kind, TERMS, f"{kind} that tell it from the others, the surest first")
            for kind in ("categories", "brands", "keywords")
        ),
        required("centroid", T.ArrayType(DOUBLE), "mean of its users' vectors of length 1"),
        required("model_version", STRING, "the model that these vectors are by"),
        optional("jaccard", DOUBLE, "of its users and those of the run before; null: it is new"),
        required("first_version", LONG, "the clustering in which it came up"),
        required("last_version", LONG, "the last clustering in which it was there"),
        required("is_retired", BOOLEAN, "whether it is no more; all else is as it last was"),
    ),
)

CLUSTERINGS = Table(
    "clusterings",
    "Each run that looked for clusters: how clear they are, and how stable",
    key=("version",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("version", LONG, "number of the run, from 1"),
        required("input_fingerprint", STRING, "hash of the profiles' version and the settings"),
        required("as_of_ts", TIMESTAMP, "up to when the profiles know"),
        required("model_version", STRING, "the model that the interest vectors are by"),
        required("n_clusters", INT, "how many there are"),
        required("n_users", LONG, "users in a cluster"),
        required("n_users_without_vector", LONG, "users without a usable interest vector"),
        required("silhouette", DOUBLE, "mean over a sample, -1 to 1"),
        required(
            "seed_adjusted_rand", DOUBLE, "adjusted Rand index against another seed, on the sample"
        ),
        optional(
            "previous_adjusted_rand", DOUBLE, "against the run before, over the users of both"
        ),
        optional("previous_mean_jaccard", DOUBLE, "mean over the clusters of the run before"),
        optional(
            "share_users_unchanged", DOUBLE, "of the users of both runs, in the cluster of before"
        ),
    ),
)

AUDIENCES = Table(
    "audiences",
    "Who is in an audience: by a rule, or most like a list of users",
    key=("audience", "user_id"),
    partition_by=("audience",),
    rebuild_instructions=RESEGMENT_INSTRUCTIONS,
    columns=(
        required("audience", STRING, "its name in the settings"),
        required("user_id", STRING, "pseudonym"),
        required("rule", STRING, "whom it takes"),
        optional("score", DOUBLE, "how like the list's users, 0 to 1; null where a rule decides"),
        required("added_ts", TIMESTAMP, "as_of_ts of the run since which the user is in it"),
    ),
)

TABLES = (
    EVENTS, REJECTED_EVENTS, IDENTITY, USERS, ITEMS, SESSIONS, BEHAVIOUR, EXAMPLES, USER_PROFILES,
    PROFILE_REFRESH_STATE, USER_PROFILES_HISTORY, IMPRESSIONS, FEEDBACK, FEEDBACK_MEASURES,
    EXPERIMENT_READOUTS, USER_SEGMENTS, CLUSTERS, CLUSTERINGS, AUDIENCES, RECOMMENDATIONS,
    RECOMMENDATION_REFRESH_STATE,
)  # fmt: skip


def user_bucket(n_buckets: int) -> Column:
    """Column: the hash bucket of `user_id`, from 0 to `n_buckets` - 1."""
    return F.pmod(F.xxhash64("user_id"), F.lit(n_buckets)).cast("int")
