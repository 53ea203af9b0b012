"""Measure times before the cutoff, and its place in the day and week."""

import numpy as np

from profile_lib.features.event_log import DAY_MICROS, EventLog, micros_to_seconds
from profile_lib.features.numeric.registry import FeatureColumns, numeric_feature
from profile_lib.tables.table import DOUBLE, INT, optional, required

HOUR_MICROS = DAY_MICROS // 24


@numeric_feature(
    required("session_seconds", DOUBLE, "seconds since the current session began"),
    required("session_dwell_seconds", DOUBLE, "dwell time in the current session, seconds"),
)
def measure_session(log: EventLog) -> FeatureColumns:
    """Measure the age of the current session and the dwell time in it."""
    dwell = log.numbers_or_zero("dwell_seconds")
    yield "session_seconds", micros_to_seconds(log.cutoff_micros - log.session_start_micros)
    yield "session_dwell_seconds", log.pairs.sum(dwell, log.in_window["session"])


@numeric_feature(
    required("last_gap_seconds", DOUBLE, "seconds between the last two events, 0 with only one"),
    required("seconds_since_event", DOUBLE, "seconds since the last event"),
    optional("seconds_since_cart", DOUBLE, "seconds since the last cart event"),
    optional("seconds_since_checkout", DOUBLE, "seconds since the last checkout event"),
    optional("seconds_since_purchase", DOUBLE, "seconds since the last purchase"),
    required("days_since_first_event", DOUBLE, "days since the first event"),
)
def measure_recency(log: EventLog) -> FeatureColumns:
    """Measure the time since the first and the last events."""
    before_last = log.micros[np.maximum(log.pairs.end_rows - 2, 0)]
    is_single = log.pairs.end_rows - log.pairs.start_rows == 1
    gap = np.where(is_single, 0, log.last_micros - before_last)
    yield "last_gap_seconds", micros_to_seconds(gap)
    yield "seconds_since_event", micros_to_seconds(log.cutoff_micros - log.last_micros)
    for kind in ("cart", "checkout", "purchase"):
        yield f"seconds_since_{kind}", log.seconds_since_last(log.is_kind(kind))
    yield "days_since_first_event", micros_to_seconds(log.cutoff_micros - log.first_micros) / 86400


@numeric_feature(
    required("hour", INT, "local hour of the cutoff, 0 to 23"),
    required("weekday", INT, "local day of the week of the cutoff, 1 to 7, 1 is Sunday"),
)
def read_calendar(log: EventLog) -> FeatureColumns:
    """Read hour and weekday from the user's clock at the cutoff."""
    local_cutoff = log.local_cutoff_micros
    yield "hour", local_cutoff % DAY_MICROS // HOUR_MICROS
    yield "weekday", (local_cutoff // DAY_MICROS + 4) % 7 + 1  # 1970-01-01 was a Thursday
