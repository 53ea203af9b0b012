"""The cutoff after which nothing is known, and a user's events as their changes left them."""

from datetime import datetime

from pyspark.sql import functions as F

from profile_lib.features.as_of import add_latest_cutoff
from profile_lib.features.event_histories import collect_user_changes, select_current_events
from profile_lib.tables import EVENTS


def event(user: str, key: str, hour: int, kind: str = "view", late: int = 0) -> tuple:
    at, known = datetime(2026, 1, 1, hour), datetime(2026, 1, 1, hour + late)
    values = {
        "user_id": user, "event_id": key, "event_ts": at, "event_date": at.date(),
        "event_type": kind, "source": "s", "ingest_ts": known,
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENTS.column_names())


def changed(spark, *changes: tuple[str, int, tuple]) -> dict[str, list[tuple[str, str]]]:
    """What `select_current_events` says after changes of (kind, version, event)."""
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
    found: dict[str, list[tuple[str, str]]] = {}
    for row in (
        select_current_events(collect_user_changes(frame)).orderBy("user_id", "event_ts").collect()
    ):
        found.setdefault(row["user_id"], []).append((row["event_id"], row["event_type"]))
    return found


def test_everybody_is_looked_at_just_after_the_last_thing_known(spark):
    rows = [event("ann", "a", 9, late=1), event("ann", "b", 12), event("bob", "c", 9, late=8)]
    found = add_latest_cutoff(spark.createDataFrame(rows, EVENTS.schema)).collect()
    assert {(r["event_id"], r["cutoff_ts"]) for r in found} == {
        ("a", datetime(2026, 1, 1, 12, 0, 0, 1)),
        ("b", datetime(2026, 1, 1, 12, 0, 0, 1)),
        ("c", datetime(2026, 1, 1, 17, 0, 0, 1)),
    }


def test_the_last_change_of_an_event_holds(spark):
    before, after = event("ann", "a", 9), event("ann", "a", 9, kind="cart")
    found = changed(
        spark,
        ("insert", 1, before),
        ("insert", 1, event("ann", "b", 10)),
        ("update_preimage", 3, before),
        ("update_postimage", 3, after),
        ("delete", 4, event("ann", "b", 10)),
    )
    assert found == {"ann": [("a", "cart")]}


def test_an_event_that_becomes_another_users_leaves_the_first(spark):
    found = changed(
        spark,
        ("insert", 1, event("ann", "a", 9)),
        ("update_preimage", 2, event("ann", "a", 9)),
        ("update_postimage", 2, event("bob", "a", 9)),
    )
    assert found == {"bob": [("a", "view")]}


def test_an_event_that_went_and_comes_again_is_there(spark):
    a = event("ann", "a", 9)
    assert changed(spark, ("insert", 1, a), ("delete", 2, a), ("insert", 3, a)) == {
        "ann": [("a", "view")]
    }
