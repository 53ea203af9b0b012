"""Check that sessions built day by day, in any order, equal those built at once."""

import random
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest

from profile_lib.config.settings import load_settings
from profile_lib.delta.store import Store
from profile_lib.pipelines.build_sessions import run
from profile_lib.tables import EVENTS, SESSIONS

SETTINGS = load_settings("conf/dev.yaml")
DAY = date(2026, 1, 1)
# user, minutes from the first midnight to the event, days from the first day to its load
LATE_EVENTS = (
    ("ann", 600, 0),
    ("ann", 620, 1),  # late, within the session
    ("ann", 640, 0),
    ("ann", 700, 0),
    ("ann", 670, 2),  # late, joins two sessions of the first day
    ("ann", 1430, 0),
    ("ann", 1445, 1),  # across midnight
    ("ann", 1470, 1),
    ("bob", 1439, 1),  # late, before a session that began after midnight
    ("bob", 1441, 1),
    ("bob", 100, 2),  # late by two days, a separate session
    ("cat", 1500, 1),
    ("cat", 1495, 2),  # late: the session begins earlier, so its id changes
    ("cat", 1500, 2),
    ("dan", 2890, 2),
    ("eve", 610, 0),
    ("eve", 640, 0),
    ("eve", 670, 0),
    ("eve", 700, 0),
    ("eve", 630, 1),  # late, at both ends of a long session
    ("eve", 710, 1),
    ("fay", -12_000_000, 0),  # a clock of 2003
    ("fay", 600, 0),
    ("fay", 620, 1),
    ("fay", -12_000_010, 1),
)
RNG = random.Random(5)
RANDOM_EVENTS = tuple(
    (f"user {RNG.randrange(40)}", RNG.randrange(0, 2880, 10), RNG.randrange(3))
    for _ in range(1_500)
)


def event_row(number, user, minutes, days_late):
    ts = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    load = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=days_late)
    values = {
        "event_id": f"e{number}",
        "user_id": user,
        "event_ts": ts,
        "event_date": ts.date(),
        "event_type": ("view", "click")[number % 2],
        "position": number,
        "source": "test",
        "ingest_ts": ts,  # a load takes what it finds, whenever that arrived
        "load_date": load.date(),
    }
    return tuple(values.get(name) for name in EVENTS.column_names())


def put(store, *events):
    store.append(EVENTS, store.spark.createDataFrame(list(events), EVENTS.schema))


def read_sessions(store):
    rows = store.read(SESSIONS).orderBy("user_id", "start_ts").collect()
    return [row.asDict() for row in rows]


@pytest.fixture(scope="module")
def events(spark):
    log = enumerate(LATE_EVENTS + RANDOM_EVENTS)
    return spark.createDataFrame([event_row(n, *values) for n, values in log], EVENTS.schema)


@pytest.fixture(scope="module")
def full_build(spark, events, tmp_path_factory) -> Store:
    store = Store(spark, str(tmp_path_factory.mktemp("once")))
    store.replace(EVENTS, events)
    run(store, SETTINGS)
    return store


def test_late_events_join_extend_and_start_sessions(full_build):
    sessions = [
        (
            row["user_id"],
            f"{row['start_ts']:%d %H:%M}",
            f"{row['end_ts']:%d %H:%M}",
            row["n_events"],
        )
        for row in read_sessions(full_build)
        if not row["user_id"].startswith("user")
    ]
    assert sessions == [
        ("ann", "01 10:00", "01 11:40", 5),
        ("ann", "01 23:50", "02 00:30", 3),
        ("bob", "01 01:40", "01 01:40", 1),
        ("bob", "01 23:59", "02 00:01", 2),
        ("cat", "02 00:55", "02 01:00", 3),
        ("dan", "03 00:10", "03 00:10", 1),
        ("eve", "01 10:10", "01 11:50", 6),
        ("fay", "09 15:50", "09 16:00", 2),
        ("fay", "01 10:00", "01 10:20", 2),
    ]


def test_days_in_any_order_give_the_sessions_of_a_full_build(store, events, full_build):
    for days in (2, 0, 1):
        day = DAY + timedelta(days=days)
        store.append(EVENTS, events.where(f"load_date = DATE '{day}'"))
        run(store, SETTINGS, day)
    assert read_sessions(store) == read_sessions(full_build)


def test_with_a_clock_of_2003_the_years_until_today_are_not_read(store, tmp_path):
    put(store, event_row(0, "ann", -5_600_000, 0))
    run(store, SETTINGS)
    put(store, event_row(1, "ann", -12_000_000, 1), event_row(2, "ann", 10, 1))
    for table in ("events/event_date", "sessions/session_date"):
        shutil.rmtree(tmp_path / "tables" / f"{table}=2015-05-10")  # a read of it would fail
    run(store, SETTINGS, DAY + timedelta(days=1))
    found = store.read(SESSIONS).where("session_date IN ('2003-03-09', '2026-01-01')")
    assert [row["n_events"] for row in found.collect()] == [1, 1]


def test_a_repeated_day_and_a_day_without_events_change_no_session(full_build):
    before = read_sessions(full_build)
    run(full_build, SETTINGS, DAY + timedelta(days=1))
    run(full_build, SETTINGS, DAY + timedelta(days=300))
    assert read_sessions(full_build) == before
