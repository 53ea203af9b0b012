"""Write rows of impressions, events and feedback, in minutes since START."""

from datetime import UTC, datetime, timedelta
from typing import Any

from profile_lib.tables import EVENTS, FEEDBACK, IMPRESSIONS

START = datetime(2026, 1, 10, tzinfo=UTC)


def impression_row(impression: str, user: str, minute: float, **values: Any) -> tuple:
    """Make a row of `impressions` that arrived when it was shown."""
    ts = START + timedelta(minutes=minute)
    row = {
        "impression_id": impression, "request_id": f"r-{impression}", "user_id": user,
        "item_id": "tee", "slot": 1, "shown_ts": ts, "shown_date": ts.date(),
        "sources": ["popular"], "propensity": 0.5, "model_version": "m1", "ingest_ts": ts,
    } | values  # fmt: skip
    return tuple(row.get(name) for name in IMPRESSIONS.column_names())


def event_row(user: str, minute: float, event_type: str, item: str = "tee", **values: Any) -> tuple:
    """Make a row of the table `events` that arrived and was loaded when it happened."""
    ts = START + timedelta(minutes=minute)
    row = {
        "event_id": f"{user}-{event_type}-{minute}", "user_id": user, "event_ts": ts,
        "event_date": ts.date(), "event_type": event_type, "item_id": item, "price": 2.5,
        "source": "s", "ingest_ts": ts, "load_date": ts.date(),
    } | values  # fmt: skip
    return tuple(row.get(name) for name in EVENTS.column_names())


def feedback_row(**values: Any) -> dict[str, Any]:
    """Make a row of `feedback`, by column, without an outcome unless given."""
    impression = dict(zip(IMPRESSIONS.column_names(), impression_row("i", "ann", 0), strict=True))
    outcome = {
        "is_clicked": False, "is_carted": False, "is_bought": False, "revenue": 0.0,
        "clicked_ts": None, "is_complete": True,
    }  # fmt: skip
    return {name: (impression | outcome | values)[name] for name in FEEDBACK.column_names()}
