"""Count events and sessions."""

from profile_lib.features.event_log import EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import LONG, required


@numeric_feature(
    required("n_events", LONG, "number of events ever"),
    required("n_sessions", LONG, "number of sessions ever, the current one included"),
)
def count_events_and_sessions(log: EventLog) -> FeatureColumns:
    """Count all events and sessions."""
    yield "n_events", log.pairs.end_rows - log.pairs.start_rows
    yield "n_sessions", log.pairs.count(log.session_starts)
