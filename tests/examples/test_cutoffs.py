"""Check which cutoffs are chosen."""

from datetime import datetime, timedelta

from profile_lib.examples.cutoffs import choose_cutoffs

SCHEMA = "user_id string, event_ts timestamp, event_id string, ingest_ts timestamp, sequence long"
GAP = timedelta(minutes=30)


def at(hour: int, minute: int = 0, day: int = 1) -> datetime:
    return datetime(2026, 1, day, hour, minute)


def chosen_cutoffs(events, **changes):
    arguments = {
        "gap": GAP, "cutoffs_per_session": 1, "train_cutoffs_per_session": 1, "train_until": at(0),
        "min_events": 3, "calendar_days": None, "first_cutoff": None,
        "last_cutoff": at(0, day=31), "max_cutoffs_per_user": 100, "seed": 1,
    } | changes  # fmt: skip
    frame = choose_cutoffs(events, **arguments)
    return sorted((r.user_id, r.cutoff_ts) for r in frame.collect())


def events_of(user: str, *times: datetime, late: timedelta = timedelta(0)) -> list[tuple]:
    """Make events that arrive `late` after they happened."""
    return [(user, ts, f"{user}{ts:%d%H%M}", ts + late, None) for ts in times]


def test_a_cutoff_is_just_after_a_drawn_event_of_each_session_that_is_long_enough(rows):
    events = rows(
        SCHEMA,
        *events_of("ann", at(9), at(9, 10), at(9, 20), at(12), at(12, 5), at(12, 9)),
        *events_of("bob", at(9), at(9, 10)),
    )
    microsecond = timedelta(microseconds=1)
    cutoffs = chosen_cutoffs(events)
    assert [user for user, _ in cutoffs] == ["ann", "ann"]
    assert cutoffs[0][1] - microsecond in {at(9), at(9, 10), at(9, 20)}
    assert cutoffs[1][1] - microsecond in {at(12), at(12, 5), at(12, 9)}


def test_a_cutoff_is_just_after_the_event_became_known(rows):
    second = timedelta(seconds=1)
    events = rows(SCHEMA, *events_of("ann", at(9), at(9, 10), at(9, 20), late=second))
    cutoffs = chosen_cutoffs(events, cutoffs_per_session=3)
    expected = [ts + second + timedelta(microseconds=1) for ts in (at(9), at(9, 10), at(9, 20))]
    assert cutoffs == [("ann", ts) for ts in expected]


def test_the_drawn_events_depend_on_the_seed_alone(rows):
    times = [at(9) + timedelta(minutes=n) for n in range(50)]
    events = rows(SCHEMA, *events_of("ann", *times))
    reversed_events = rows(SCHEMA, *reversed(events_of("ann", *times)))
    assert chosen_cutoffs(events) == chosen_cutoffs(reversed_events.repartition(3))
    assert len({tuple(chosen_cutoffs(events, seed=seed)) for seed in range(4)}) > 1


def test_a_user_has_no_more_cutoffs_than_allowed_and_they_depend_on_the_seed_alone(rows):
    times = [at(9, day=day) + timedelta(minutes=n) for day in range(1, 21) for n in range(3)]
    events = rows(SCHEMA, *events_of("ann", *times), *events_of("bob", at(9), at(9, 1), at(9, 2)))
    cutoffs = chosen_cutoffs(events, max_cutoffs_per_user=4)
    assert [user for user, _ in cutoffs] == ["ann"] * 4 + ["bob"]
    assert set(cutoffs) < set(chosen_cutoffs(events))
    assert cutoffs == chosen_cutoffs(events.repartition(3), max_cutoffs_per_user=4)


def test_a_session_with_fewer_events_than_requested_gives_a_cutoff_for_each(rows):
    events = rows(SCHEMA, *events_of("ann", at(9), at(9, 10), at(9, 20)))
    assert len(chosen_cutoffs(events, cutoffs_per_session=5)) == 3


def test_the_calendar_adds_a_cutoff_for_every_user_with_an_earlier_event(rows):
    events = rows(SCHEMA, *events_of("ann", at(9), at(9, day=5)), *events_of("bob", at(8, day=3)))
    cutoffs = chosen_cutoffs(events, min_events=99, calendar_days=2)
    assert cutoffs == [("ann", at(0, day=2)), ("ann", at(0, day=4)), ("bob", at(0, day=4))]


def test_clocks_that_are_wrong_by_years_or_hours_add_no_calendar_cutoff(rows):
    arrival = at(10, day=3)
    slow = [("ann", datetime(2003, 3, 1), "slow", arrival, None)]
    fast = [("ann", arrival + timedelta(hours=23), "fast", arrival, None)]
    events = rows(SCHEMA, *slow, *events_of("ann", at(9, day=2)), *fast)
    assert chosen_cutoffs(events, min_events=99, calendar_days=1) == [("ann", at(0, day=3))]


def test_cutoffs_before_the_first_and_after_the_last_are_dropped(rows):
    events = rows(SCHEMA, *events_of("ann", at(9), at(9, day=8)))
    cutoffs = chosen_cutoffs(
        events, min_events=99, calendar_days=1, first_cutoff=at(0, day=4), last_cutoff=at(0, day=6)
    )
    assert cutoffs == [("ann", at(0, day=day)) for day in (4, 5, 6)]


def test_training_sessions_can_have_more_cutoffs(rows):
    early = [at(9) + timedelta(minutes=n) for n in range(5)]
    late = [ts + timedelta(days=1) for ts in early]
    events = rows(SCHEMA, *events_of("ann", *early, *late))
    cutoffs = chosen_cutoffs(events, train_cutoffs_per_session=4, train_until=at(0, day=2))
    assert [ts < at(0, day=2) for _, ts in cutoffs] == [True] * 4 + [False]
    assert cutoffs[-1] in chosen_cutoffs(events)
