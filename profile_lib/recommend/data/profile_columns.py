"""Name the profile columns that recommenders read, with their types."""

import pyarrow as pa

# Numbers of a profile that the ranker reads unchanged.
PROFILE_NUMBERS = (
    "n_sessions", "n_orders", "order_value", "price_level", "purchasing_power", "sentiment",
)  # fmt: skip
# The contexts of demand, each with the profile column that counts its values.
CONTEXT_COLUMNS = {"channel": "channels", "device": "devices", "region": "regions"}
REQUEST_COLUMNS = (
    "recent", "interest_vector", "model_version", *PROFILE_NUMBERS, *CONTEXT_COLUMNS.values(),
    "as_of_ts",
)  # fmt: skip
RECENT_EVENT = pa.struct(
    [
        ("event_ts", pa.timestamp("us", "UTC")),
        ("event_type", pa.string()),
        ("item_id", pa.string()),
        ("text", pa.string()),
    ]
)
COUNT_MAP = pa.map_(pa.string(), pa.int64())
REQUEST_SCHEMA = pa.schema(  # the types of REQUEST_COLUMNS
    [
        ("recent", pa.list_(RECENT_EVENT)),
        ("interest_vector", pa.list_(pa.float32())),
        ("model_version", pa.string()),
        *[(name, pa.float64()) for name in PROFILE_NUMBERS],
        *[(name, COUNT_MAP) for name in CONTEXT_COLUMNS.values()],
        ("as_of_ts", pa.timestamp("us", "UTC")),
    ]
)
