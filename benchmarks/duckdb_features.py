"""Write in DuckDB's SQL what Spark does from raw files to behaviour.

Each query reads Parquet files below `target` or `raw`, and writes one: events, sessions, histories
and behaviour.
"""

from profile_lib.tables.events import EVENT_TYPES
from profile_lib.tables.features import WINDOWS

EVENT_ORDER = "ORDER BY event_ts, sequence NULLS FIRST, event_id"
ACTIONS = {"add_to_cart": "cart", "remove_from_cart": "uncart"}  # the others have the type's name
PARQUET = "(FORMAT parquet, COMPRESSION zstd)"
KEY = "for-benchmarks-only"
WEIGHTS = {"search": 1, "view": 1, "click": 1, "favourite": 3, "cart": 4, "purchase": 6}
HALF_LIFE_SECONDS = 14 * 86_400
MAX_INTERESTS, MAX_RECENT = 10, 20


def _hash(kind: str, column: str) -> str:
    text = f"concat_ws('|', '{KEY}', '{kind}', {column})"
    return f"CASE WHEN {column} IS NOT NULL THEN sha256({text}) END"


def _event_type() -> str:
    cases = " ".join(f"WHEN '{action}' THEN '{kind}'" for action, kind in ACTIONS.items())
    return f"CASE action {cases} ELSE action END"


def _text(column: str) -> str:
    return f"nullif(trim({column}), '')"


EVENTS_SQL = f"""COPY (
    WITH typed AS (
        SELECT {_text("event_id")} AS raw_event, {_text("uid")} AS raw_user,
            try_cast("time" AS TIMESTAMP) AS event_ts, try_cast(received AS TIMESTAMP) AS ingest_ts,
            {_event_type()} AS event_type, {_text("item")} AS item_id, {_text("title")} AS title,
            {_text("category")} AS category, {_text("brand")} AS brand,
            CASE WHEN try_cast(price AS DOUBLE) >= 0 THEN try_cast(price AS DOUBLE) END AS price,
            try_cast(quantity AS DECIMAL(18, 3)) AS quantity, {_text("query")} AS query,
            {_text("review")} AS text, try_cast(stars AS DOUBLE) AS rating,
            try_cast(seconds AS DOUBLE) AS dwell_seconds, try_cast("rank" AS BIGINT) AS position,
            {_text("visit")} AS raw_visit, {_text('"order"')} AS raw_order,
            {_text("channel")} AS channel, {_text("device")} AS device, {_text("region")} AS region
        FROM '{{raw}}/*.parquet'),
    valid AS (
        SELECT *, row_number() OVER (PARTITION BY raw_user, raw_event ORDER BY ingest_ts) AS arrival
        FROM typed
        WHERE raw_user IS NOT NULL AND event_ts <= now()::TIMESTAMP
            AND event_type IN {tuple(EVENT_TYPES)})
    SELECT {_hash("event", "raw_event")} AS event_id, {_hash("user", "raw_user")} AS user_id,
        {_hash("session", "raw_visit")} AS session_hint, {_hash("order", "raw_order")} AS order_id,
        NULL::BIGINT AS sequence, event_ts::DATE AS event_date,
        * EXCLUDE (raw_event, raw_user, raw_visit, raw_order, arrival)
    FROM valid WHERE arrival = 1
    ) TO '{{target}}/events.parquet' {PARQUET}"""


def sessions_sql(source: str, target: str, gap_seconds: float | str) -> str:
    """Return the query that builds the columns of `sessions` from a Parquet file of events.

    The column `path` keeps repeated event types.
    """
    kinds = ", ".join(f"count(*) FILTER (event_type = '{k}') AS n_{k}" for k in EVENT_TYPES)
    starts = f"event_ts - lag(event_ts) OVER w > INTERVAL {gap_seconds} SECOND"
    firsts = ", ".join(f"first({c} {EVENT_ORDER}) AS {c}" for c in ("channel", "device", "region"))
    return f"""COPY (
        WITH marked AS (
            SELECT *, coalesce({starts}, true)::INT AS starts FROM '{source}'
            WINDOW w AS (PARTITION BY user_id {EVENT_ORDER})),
        numbered AS (
            SELECT *, sum(starts) OVER (PARTITION BY user_id {EVENT_ORDER}) AS number FROM marked)
        SELECT user_id, number, min(event_ts) AS start_ts, max(event_ts) AS end_ts,
            count(*) AS n_events, {kinds}, count(DISTINCT item_id) AS n_items,
            sum(dwell_seconds) AS dwell_seconds,
            list(position {EVENT_ORDER}) FILTER (event_type = 'click') AS click_positions,
            list(event_type {EVENT_ORDER}) AS path,
            sum(price * coalesce(quantity, 1) * CASE event_type
                WHEN 'purchase' THEN 1 WHEN 'return' THEN -1 END) AS order_value,
            {firsts}
        FROM numbered GROUP BY user_id, number
        ) TO '{target}' {PARQUET}"""


HISTORIES_SQL = f"""COPY (
    WITH ranked AS (
        SELECT *, row_number() OVER (
            PARTITION BY user_id ORDER BY event_ts DESC, sequence DESC NULLS LAST, event_id DESC
        ) AS newest FROM '{{target}}/events.parquet'),
    last AS (
        SELECT user_id, list({{{{
            'event_id': left(event_id, 12), 'event_ts': event_ts, 'event_type': event_type,
            'item_id': item_id, 'order_id': left(order_id, 16), 'price': price,
            'quantity': quantity, 'query': query, 'text': text, 'rating': rating,
            'dwell_seconds': dwell_seconds, 'channel': channel, 'device': device,
            'region': region, 'ingest_ts': ingest_ts}}}} ORDER BY newest DESC) AS events,
            min(event_ts) AS first_ts
        FROM ranked WHERE newest <= {{max_events}} GROUP BY user_id),
    older AS (
        SELECT user_id, event_ts::DATE AS day, event_type, count(*) AS n_events
        FROM ranked WHERE newest > {{max_events}} GROUP BY ALL),
    counts AS (
        SELECT user_id, list({{{{'day': day, 'event_type': event_type, 'n_events': n_events}}}}
            ORDER BY day) AS older
        FROM older GROUP BY user_id)
    SELECT * FROM last LEFT JOIN counts USING (user_id)
    ) TO '{{target}}/histories.parquet' {PARQUET}"""


def _window_counts() -> str:
    """Return the counts of each event type in each window of days."""
    columns = []
    for window, days in WINDOWS.items():
        recent = "" if days is None else f" AND event_ts > last_ts - INTERVAL {days} DAY"
        columns += [
            f"count(*) FILTER (event_type = '{kind}'{recent}) AS n_{kind}_{window}"
            for kind in EVENT_TYPES
        ]
    return ", ".join(columns)


def _interests(name: str, column: str) -> str:
    """Return the tables that rank the values of a column per user by their decayed weight."""
    return f"""{name}_weights AS (
        SELECT user_id, {column} AS name, sum(weight) AS weight FROM weighted
        WHERE {column} IS NOT NULL GROUP BY ALL),
    {name} AS (
        SELECT user_id, max_by({{{{'name': name, 'weight': weight}}}}, weight, {MAX_INTERESTS})
            AS {name}
        FROM {name}_weights GROUP BY user_id)"""


def _counts(column: str) -> str:
    return f"histogram({column}) FILTER ({column} IS NOT NULL) AS {column}s"


_WEIGHT = " ".join(f"WHEN '{kind}' THEN {weight}" for kind, weight in WEIGHTS.items())
BEHAVIOUR_SQL = f"""COPY (
    WITH items AS (
        SELECT item_id, any_value(title) AS title, any_value(category) AS category,
            any_value(brand) AS brand
        FROM '{{target}}/events.parquet' WHERE item_id IS NOT NULL GROUP BY item_id),
    unfolded AS (
        SELECT user_id, unnest(events, recursive := true)
        FROM '{{target}}/histories.parquet'),
    dated AS (
        SELECT u.* EXCLUDE (user_id), u.user_id, i.title, i.category, i.brand,
            max(event_ts) OVER (PARTITION BY u.user_id) AS last_ts
        FROM unfolded u LEFT JOIN items i USING (item_id)),
    weighted AS (
        SELECT *, CASE event_type {_WEIGHT} ELSE 1 END
            * pow(0.5, epoch(last_ts - event_ts) / {HALF_LIFE_SECONDS}) AS weight
        FROM dated),
    words AS (
        SELECT user_id, unnest(string_split(lower(title), ' ')) AS word, weight
        FROM weighted WHERE title IS NOT NULL),
    frequencies AS (
        SELECT word, count(*) AS n_items
        FROM (SELECT DISTINCT item_id, unnest(string_split(lower(title), ' ')) AS word FROM items)
        GROUP BY word),
    word_weights AS (
        SELECT user_id, word, sum(weight) * ln(1 + 5000.0 / any_value(n_items)) AS weight
        FROM words JOIN frequencies USING (word) GROUP BY user_id, word),
    keywords AS (
        SELECT user_id, max_by({{{{'name': word, 'weight': weight}}}}, weight, {MAX_INTERESTS})
            AS keywords
        FROM word_weights GROUP BY user_id),
    {_interests("categories", "category")},
    {_interests("brands", "brand")},
    numbers AS (
        SELECT user_id, any_value(last_ts) AS last_event_ts, min(event_ts) AS first_ts,
            {_window_counts()},
            count(DISTINCT item_id) AS n_items, count(DISTINCT event_ts::DATE) AS n_days,
            count(DISTINCT order_id) AS n_orders,
            sum(price * coalesce(quantity, 1)) FILTER (event_type = 'purchase') AS order_value,
            avg(price) FILTER (event_type = 'view') AS viewed_price,
            avg(dwell_seconds) AS dwell_seconds, avg(rating) AS rating,
            histogram(hour(event_ts)) AS active_hours, {_counts("channel")}, {_counts("device")},
            {_counts("region")},
            max_by({{{{'event_ts': event_ts, 'event_type': event_type, 'item_id': item_id,
                'title': title, 'category': category, 'text': coalesce(query, text)}}}},
                event_ts, {MAX_RECENT}) AS recent
        FROM dated GROUP BY user_id)
    SELECT * FROM numbers LEFT JOIN categories USING (user_id) LEFT JOIN brands USING (user_id)
        LEFT JOIN keywords USING (user_id)
    ) TO '{{target}}/behaviour.parquet' {PARQUET}"""

# Stage → query, with the fields raw, target, gap and max_events.
STAGES = {
    "ingestion": EVENTS_SQL,
    "sessions": sessions_sql("{target}/events.parquet", "{target}/sessions.parquet", "{gap}"),
    "histories": HISTORIES_SQL,
    "behaviour": BEHAVIOUR_SQL,
}
