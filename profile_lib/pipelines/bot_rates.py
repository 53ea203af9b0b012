"""Reject events of users that are faster than people, and restore others."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.config.events import IngestSettings
from profile_lib.delta.store import Store
from profile_lib.events.formats.registry import FILE, POSITION
from profile_lib.events.rates import (
    RATE_COLUMNS,
    find_busy_days,
    find_impossible_rates,
    mark_fast_events,
    reject_fast_events,
    select_rejected_by_rate,
)
from profile_lib.events.validation import count_user_days, is_kept
from profile_lib.spark.frames import broadcast_if_small, union_all
from profile_lib.tables import EVENTS, REJECTED_EVENTS

MAX_BROADCAST_ROWS = 100_000  # days of users, or windows, that are sent to each task


class RateVerdict(NamedTuple):
    """Judged rows, and what changes in the tables because of their rates.

    `retracted` are stored events that become rejected rows, `restored` rejected rows that become
    events again; None: there are none.
    """

    judged: DataFrame
    retracted: DataFrame | None = None
    restored: DataFrame | None = None


def judge_rates(
    store: Store,
    settings: IngestSettings,
    time_zone: str,
    judged: DataFrame,
    user_days: DataFrame,
    dates: Sequence[date],
) -> RateVerdict:
    """Reject the kept rows of users who, with their stored events, are too fast.

    `user_days` is the result of `count_user_days` for the judged rows, and `dates` lists its dates.
    Users whose events of one of these dates were rejected before are judged again.
    """
    in_batch = F.col("event_date").isin(*dates)
    stored = store.read_or_empty(EVENTS).where(in_batch)
    rejected = select_rejected_by_rate(store.read_or_empty(REJECTED_EVENTS)).where(in_batch)
    counts = [count_user_days(frame) for frame in (stored, rejected)]
    limits = settings.max_events_per_minute, settings.max_events_per_day
    busy = find_busy_days(union_all([user_days, *counts]), *limits).localCheckpoint()
    restored = _none_if_empty(rejected)
    if busy.isEmpty() and restored is None:
        return RateVerdict(judged)
    parts = (judged.where(is_kept()), stored, rejected)
    events = union_all([part.select(*RATE_COLUMNS) for part in parts])
    busy = broadcast_if_small(busy, MAX_BROADCAST_ROWS)
    suspects = events.join(busy, ["user_id", "event_date"])
    found = find_impossible_rates(suspects, *limits, time_zone).localCheckpoint()
    rates = broadcast_if_small(found, MAX_BROADCAST_ROWS)
    if restored is not None:
        slow = mark_fast_events(restored, rates).where("rate_rule IS NULL").drop("rate_rule")
        restored = _none_if_empty(slow)
    retracted = _none_if_empty(_select_retracted(stored, rates))
    return RateVerdict(reject_fast_events(judged, rates), retracted, restored)


def _select_retracted(stored: DataFrame, rates: DataFrame) -> DataFrame:
    """Select the stored events whose rate is above a limit, as rows to reject."""
    marked = mark_fast_events(stored, rates).where("rate_rule IS NOT NULL")
    values = {
        "reasons": F.array("rate_rule"),
        "row_id": F.lit(None).cast("string"),
        FILE: F.lit(None).cast("string"),
        POSITION: F.lit(None).cast("long"),
    }
    return marked.withColumns(values).drop("rate_rule")


def _none_if_empty(frame: DataFrame) -> DataFrame | None:
    found = frame.localCheckpoint()
    return None if found.isEmpty() else found
