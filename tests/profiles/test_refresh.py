"""Whose profile is computed, as of when, and whose goes."""

from datetime import datetime

from profile_lib.profiles.refresh import refresh_cutoffs, users_in

EVENTS = "user_id string, event_ts timestamp, ingest_ts timestamp"


def test_everybody_is_looked_at_just_after_the_last_thing_known(rows):
    events = rows(
        EVENTS,
        ("ann", datetime(2026, 1, 1, 9), datetime(2026, 1, 1, 10)),
        ("ann", datetime(2026, 1, 3, 9), datetime(2026, 1, 3, 9)),
        ("bob", datetime(2026, 1, 1, 9), datetime(2026, 1, 2, 7)),  # late
    )
    assert {r["user_id"]: r["cutoff_ts"] for r in refresh_cutoffs(events).collect()} == {
        "ann": datetime(2026, 1, 3, 9, 0, 0, 1),
        "bob": datetime(2026, 1, 2, 7, 0, 0, 1),
    }


def test_every_user_is_in_one_bucket_and_named_once(rows):
    events = rows("user_id string", *[(f"u{n}",) for n in range(20)] * 2)
    found = [[r[0] for r in users_in(events, [b], 3).collect()] for b in range(3)]
    assert sorted(user for bucket in found for user in bucket) == sorted(f"u{n}" for n in range(20))
    assert all(found)
