"""Check the latest cutoff of users, and their events after the last changes."""

from datetime import datetime

from pyspark.sql import functions as F

from profile_lib.features.as_of import add_latest_cutoff, select_known_events
from profile_lib.features.event_histories import collect_user_changes, select_current_events
from profile_lib.tables import EVENTS


def event(user: str, key: str, hour: int, kind: str = "view", late: int = 0) -> tuple:
    ts, ingest_ts = datetime(2026, 1, 1, hour), datetime(2026, 1, 1, hour + late)
    values = {
        "user_id": user, "event_id": key, "event_ts": ts, "event_date": ts.date(),
        "event_type": kind, "source": "s", "ingest_ts": ingest_ts, "load_date": ingest_ts.date(),
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.column_names())


def current_events(spark, *changes: tuple[str, int, tuple]) -> dict[str, list[tuple[str, str]]]:
    """Return (event_id, event_type) of each user after changes of (kind, version, event)."""
    feed = [
        spark.createDataFrame([row], EVENTS.schema).withColumns(
            {
                "_change_type": F.lit(kind),
                "_commit_version": F.lit(version).cast("long"),
                "_commit_timestamp": F.lit(datetime(2026, 1, 2)),
            }
        )
        for kind, version, row in changes
    ]
    frame = feed[0]
    for more in feed[1:]:
        frame = frame.unionByName(more)
    events = select_current_events(collect_user_changes(frame)).orderBy("user_id", "event_ts")
    by_user: dict[str, list[tuple[str, str]]] = {}
    for row in events.collect():
        by_user.setdefault(row["user_id"], []).append((row["event_id"], row["event_type"]))
    return by_user


def test_the_latest_cutoff_is_just_after_a_users_last_event_or_arrival(spark):
    rows = [event("ann", "a", 9, late=1), event("ann", "b", 12), event("bob", "c", 9, late=8)]
    events = add_latest_cutoff(spark.createDataFrame(rows, EVENTS.schema)).collect()
    assert {(row["event_id"], row["cutoff_ts"]) for row in events} == {
        ("a", datetime(2026, 1, 1, 12, 0, 0, 1)),
        ("b", datetime(2026, 1, 1, 12, 0, 0, 1)),
        ("c", datetime(2026, 1, 1, 17, 0, 0, 1)),
    }


def test_events_that_happened_or_arrived_at_a_moment_are_not_known_as_of_it(spark):
    rows = [event("ann", "early", 9), event("ann", "at", 12), event("bob", "late", 9, late=3)]
    events = spark.createDataFrame(rows, EVENTS.schema)
    known = select_known_events(events, datetime(2026, 1, 1, 12)).collect()
    assert [row["event_id"] for row in known] == ["early"]


def test_the_last_change_of_an_event_updates_or_deletes_it(spark):
    before, after = event("ann", "a", 9), event("ann", "a", 9, kind="cart")
    events = current_events(
        spark,
        ("insert", 1, before),
        ("insert", 1, event("ann", "b", 10)),
        ("update_preimage", 3, before),
        ("update_postimage", 3, after),
        ("delete", 4, event("ann", "b", 10)),
    )
    assert events == {"ann": [("a", "cart")]}


def test_an_event_that_moves_to_another_user_leaves_the_first(spark):
    events = current_events(
        spark,
        ("insert", 1, event("ann", "a", 9)),
        ("update_preimage", 2, event("ann", "a", 9)),
        ("update_postimage", 2, event("bob", "a", 9)),
    )
    assert events == {"bob": [("a", "view")]}


def test_an_event_that_is_deleted_and_inserted_again_is_present(spark):
    a = event("ann", "a", 9)
    assert current_events(spark, ("insert", 1, a), ("delete", 2, a), ("insert", 3, a)) == {
        "ann": [("a", "view")]
    }
