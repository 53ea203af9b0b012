"""Check the latest cutoff of users, and which events are known as of a moment."""

from datetime import datetime

from profile_lib.features.as_of import add_latest_cutoff, select_known_events
from profile_lib.features.histories import build_histories, select_past_events
from profile_lib.tables import EVENTS
from tests.features.behaviour_world import LIMITS


def event(user: str, key: str, hour: int, kind: str = "view", late: int = 0) -> tuple:
    ts, ingest_ts = datetime(2026, 1, 1, hour), datetime(2026, 1, 1, hour + late)
    values = {
        "user_id": user, "event_id": key, "event_ts": ts, "event_date": ts.date(),
        "event_type": kind, "source": "s", "ingest_ts": ingest_ts, "load_date": ingest_ts.date(),
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.column_names())


def test_the_latest_cutoff_is_just_after_a_users_last_event_or_arrival(spark):
    rows = [event("ann", "a", 9, late=1), event("ann", "b", 12), event("bob", "c", 9, late=8)]
    events = select_past_events(spark.createDataFrame(rows, EVENTS.schema), "user_id")
    for max_events in (512, 1):
        limits = LIMITS._replace(max_events=max_events)
        histories = add_latest_cutoff(build_histories(events, limits))
        assert {(row["user_id"], row["cutoff_ts"]) for row in histories.collect()} == {
            ("ann", datetime(2026, 1, 1, 12, 0, 0, 1)),
            ("bob", datetime(2026, 1, 1, 17, 0, 0, 1)),
        }


def test_events_that_happened_or_arrived_at_a_moment_are_not_known_as_of_it(spark):
    rows = [event("ann", "early", 9), event("ann", "at", 12), event("bob", "late", 9, late=3)]
    events = spark.createDataFrame(rows, EVENTS.schema)
    known = select_known_events(events, datetime(2026, 1, 1, 12)).collect()
    assert [row["event_id"] for row in known] == ["early"]
