"""Count events of each kind: in the history, the current session and recent days."""

from profile_lib.features.event_log import EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.events import EVENT_TYPES, count_columns
from profile_lib.tables.features import WINDOWS


@numeric_feature(
    *(c for window in WINDOWS for c in count_columns(f"_{window}", f"in the last {window}")),
    *count_columns("", "in the history"),
)
def count_kinds(log: EventLog) -> FeatureColumns:
    """Count events by kind."""
    for window in WINDOWS:
        counts = log.pairs.count_by_code(log.kind, len(EVENT_TYPES), log.in_window[window])
        yield from ((f"n_{k}_{window}", n) for k, n in zip(EVENT_TYPES, counts, strict=True))
    counts = log.pairs.count_by_code(log.kind, len(EVENT_TYPES)) + log.older.count_by_kind()
    yield from ((f"n_{kind}", n) for kind, n in zip(EVENT_TYPES, counts, strict=True))
