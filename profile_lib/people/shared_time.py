"""Divide the time of a shared device among the people who logged in on it."""

from typing import NamedTuple

import numpy as np

from profile_lib.arrays.types import Longs

NO_TIME = np.iinfo(np.int64).min  # a run has no earlier one


class Runs(NamedTuple):
    """Times in which a person was logged in, microseconds since 1970."""

    id: Longs  # of the device
    person: Longs
    first: Longs
    last: Longs
    known: Longs  # time from which this was known


def divide_shared_time(runs: Runs, window: int) -> tuple[Runs, Longs, Longs]:
    """Return the runs that own time, and from when until when (exclusive) each does.

    A moment belongs to the nearest run at most `window` microseconds away, and to the earlier of
    two that are equally near.
    """
    order = np.lexsort((runs.known, runs.person, runs.last, runs.first, runs.id))
    runs = Runs(*(values[order] for values in runs))
    # A run within earlier ones owns nothing, because all its moments are in an earlier run too.
    end_before = _latest_before(runs.id, runs.last)
    has_time = runs.last > end_before
    runs, end_before = Runs(*(values[has_time] for values in runs)), end_before[has_time]
    is_next = np.append(runs.id[1:] == runs.id[:-1], False)
    next_first = np.append(runs.first[1:], 0)
    is_first = end_before == NO_TIME
    end = np.where(is_first, runs.first - 2 * window - 2, end_before)
    start = np.where(
        runs.first <= end, end + 1, np.maximum(runs.first - window, (end + runs.first) // 2 + 1)
    )
    following = np.where(is_next, next_first, runs.last + 2 * window)
    until = np.where(
        following <= runs.last,
        runs.last,
        np.minimum(runs.last + window, (runs.last + following) // 2),
    )
    return runs, start, until + 1


def _latest_before(group: Longs, time: Longs) -> Longs:
    """Return the latest time of the group's earlier rows; NO_TIME if there are none.

    Rows of a group are together.
    """
    if not len(time):
        return time
    levels, rank = np.unique(time, return_inverse=True)
    number = np.cumsum(np.append(0, group[1:] != group[:-1]))
    offset = number * (len(levels) + 1)
    latest = np.maximum.accumulate(rank + 1 + offset)
    before = np.append(0, latest[:-1]) - offset
    return np.where(before > 0, levels[np.maximum(before, 1) - 1], NO_TIME)
