"""Where users are looked at."""

from datetime import datetime, timedelta

from profile_lib.examples.cutoffs import choose_cutoffs

SCHEMA = "user_id string, event_ts timestamp, event_id string"
GAP = timedelta(minutes=30)


def at(hour: int, minute: int = 0, day: int = 1) -> datetime:
    return datetime(2026, 1, day, hour, minute)


def chosen(events, **changes):
    settings = {
        "gap": GAP, "cutoffs_per_session": 1, "train_cutoffs_per_session": 1, "train_until": at(0),
        "min_events": 3, "calendar_days": None, "first_cutoff": None, "last_cutoff": None, "seed": 1,
    } | changes  # fmt: skip
    frame = choose_cutoffs(events, **settings)
    return sorted((r.user_id, r.cutoff_ts) for r in frame.collect())


def visit(user: str, *times: datetime) -> list[tuple[str, datetime, str]]:
    return [(user, ts, f"{user}{ts:%d%H%M}") for ts in times]


def test_one_event_of_each_long_enough_session_is_drawn_and_the_cutoff_falls_just_after(rows):
    events = rows(
        SCHEMA,
        *visit("ann", at(9), at(9, 10), at(9, 20), at(12), at(12, 5), at(12, 9)),
        *visit("bob", at(9), at(9, 10)),
    )
    microsecond = timedelta(microseconds=1)
    found = chosen(events)
    assert [user for user, _ in found] == ["ann", "ann"]
    assert found[0][1] - microsecond in {at(9), at(9, 10), at(9, 20)}
    assert found[1][1] - microsecond in {at(12), at(12, 5), at(12, 9)}


def test_the_draw_depends_on_the_seed_and_on_nothing_else(rows):
    times = [at(9) + timedelta(minutes=n) for n in range(50)]
    events = rows(SCHEMA, *visit("ann", *times))
    turned = rows(SCHEMA, *reversed(visit("ann", *times)))
    assert chosen(events) == chosen(turned.repartition(3))
    assert len({tuple(chosen(events, seed=seed)) for seed in range(4)}) > 1


def test_all_events_of_a_session_are_cutoffs_where_so_many_are_asked_for(rows):
    events = rows(SCHEMA, *visit("ann", at(9), at(9, 10), at(9, 20)))
    assert len(chosen(events, cutoffs_per_session=5)) == 3


def test_the_calendar_looks_at_every_user_seen_before_it(rows):
    events = rows(SCHEMA, *visit("ann", at(9), at(9, day=5)), *visit("bob", at(8, day=3)))
    found = chosen(events, min_events=99, calendar_days=2)
    assert found == [("ann", at(0, day=2)), ("ann", at(0, day=4)), ("bob", at(0, day=4))]


def test_cutoffs_outside_first_and_last_are_left_out(rows):
    events = rows(SCHEMA, *visit("ann", at(9), at(9, day=8)))
    found = chosen(
        events, min_events=99, calendar_days=1, first_cutoff=at(0, day=4), last_cutoff=at(0, day=6)
    )
    assert found == [("ann", at(0, day=day)) for day in (4, 5, 6)]


def test_of_sessions_to_train_on_more_events_may_be_drawn(rows):
    early = [at(9) + timedelta(minutes=n) for n in range(5)]
    late = [ts + timedelta(days=1) for ts in early]
    events = rows(SCHEMA, *visit("ann", *early, *late))
    found = chosen(events, train_cutoffs_per_session=4, train_until=at(0, day=2))
    assert [ts < at(0, day=2) for _, ts in found] == [True] * 4 + [False]
    assert found[-1] in chosen(events)
