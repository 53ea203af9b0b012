"""Decide which events start a session, by one rule for Spark columns and arrays.

A user's first event starts a session, and so does every event that follows the one before it by
more than the limit. Events are ordered by EVENT_ORDER of the table `events`.
"""

from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, WindowSpec
from pyspark.sql import functions as F


def to_micros(duration: timedelta) -> int:
    """Return a duration in whole microseconds.

    >>> to_micros(timedelta(minutes=30))
    1800000000
    """
    return duration // timedelta(microseconds=1)


def starts_session(micros: Any, previous_micros: Any, is_first: Any, max_gap_micros: int) -> Any:
    """Apply the rule to event times in microseconds, as arrays or columns."""
    return is_first | (micros - previous_micros > max_gap_micros)


def session_starts(
    micros: NDArray[np.int64], is_new_user: NDArray[np.bool_], max_gap_micros: int
) -> NDArray[np.bool_]:
    """Return True per event that starts a session; sorted by user and time.

    >>> is_new_user = np.array([True, False, False, True])
    >>> session_starts(np.array([0, 30, 61, 62]), is_new_user, 30).tolist()
    [True, False, True, True]
    """
    previous = np.concatenate([micros[:1], micros[:-1]])
    return starts_session(micros, previous, is_new_user, max_gap_micros)


def session_start_column(events_in_order: WindowSpec, max_gap: timedelta) -> Column:
    """Return True for each event that starts a session, as a column.

    The window holds a user's events in order, with the column event_ts.
    """
    micros = F.unix_micros("event_ts")
    previous = F.lag(micros).over(events_in_order)
    is_first = previous.isNull()
    return starts_session(micros, previous, is_first, to_micros(max_gap))
