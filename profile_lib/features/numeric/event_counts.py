"""Count events and sessions."""

from profile_lib.features.event_log import EventLog
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import LONG, required


@numeric_feature(
    required("n_events", LONG, "number of events in the history"),
    required("n_sessions", LONG, "number of sessions of the last events, the current one included"),
)
def count_events_and_sessions(log: EventLog) -> FeatureColumns:
    """Count all events and sessions."""
    n_older = log.older.count_by_kind().sum(axis=0)
    yield "n_events", log.pairs.end_rows - log.pairs.start_rows + n_older
    yield "n_sessions", log.pairs.count(log.session_starts)
