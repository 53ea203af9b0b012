"""Check which spans of time, sessions and events new events reach."""

from datetime import datetime, timedelta

from profile_lib.events.session_changes import (
    days_of_spans,
    find_affected_sessions,
    find_affected_spans,
    select_events_in_spans,
    widen_spans,
)

GAP = timedelta(minutes=30)
EVENTS = "user_id string, event_ts timestamp"
SESSIONS = (
    "session_id string, session_date date, user_id string, start_ts timestamp, end_ts timestamp"
)


def at(hour: float, day: int = 2, year: int = 2026) -> datetime:
    return datetime(year, 1, day) + timedelta(hours=hour)


def spans_of(rows, *events: tuple[str, datetime]) -> list[tuple]:
    spans = find_affected_spans(rows(EVENTS, *events), GAP)
    return sorted((s["user_id"], s["from_ts"], s["to_ts"]) for s in spans.collect())


def test_new_events_within_twice_the_gap_share_a_span_and_others_have_their_own(rows):
    events = [
        ("ann", at(9)),
        ("ann", at(10)),
        ("bob", at(9)),
        ("bob", at(10) + timedelta(seconds=1)),
    ]
    assert spans_of(rows, *events) == [
        ("ann", at(8.5), at(10.5)),
        ("bob", at(8.5), at(9.5)),
        ("bob", at(9.5) + timedelta(seconds=1), at(10.5) + timedelta(seconds=1)),
    ]


def test_the_days_of_spans_leave_out_the_years_between_them(rows):
    events = rows(EVENTS, ("ann", at(9, year=2003)), ("ann", at(0.1)), ("bob", at(9)))
    days = days_of_spans(find_affected_spans(events, GAP)).collect()
    assert sorted(str(row["day"]) for row in days) == ["2003-01-02", "2026-01-01", "2026-01-02"]


def test_an_event_of_a_session_that_two_spans_reach_is_selected_once(rows):
    spans = find_affected_spans(rows(EVENTS, ("ann", at(10)), ("ann", at(12))), GAP)
    session = ("s", at(0).date(), "ann", at(9.75), at(12.25))
    other = ("t", at(0).date(), "ann", at(15), at(16))
    affected = find_affected_sessions(rows(SESSIONS, session, other), spans)
    assert sorted((r["session_id"], r["from_ts"]) for r in affected.collect()) == [
        ("s", at(9.5)),
        ("s", at(11.5)),
    ]
    widened = widen_spans(spans, affected)
    assert sorted((r["from_ts"], r["to_ts"]) for r in widened.collect()) == [
        (at(9.5), at(12.25)),
        (at(9.75), at(12.5)),
    ]
    times = [at(9), at(9.75), at(11), at(12.25), at(13), at(15)]
    events = rows(EVENTS, *[("ann", ts) for ts in times], ("bob", at(11)))
    inside = select_events_in_spans(events, widened).collect()
    assert sorted(row["event_ts"] for row in inside) == times[1:4]
