"""Check that profiles, sessions and examples are those of people, not of ids."""

from datetime import timedelta

import pytest

from profile_lib.config.settings import Settings, with_values
from profile_lib.delta.store import Store
from profile_lib.pipelines import build_behaviour, build_sessions
from profile_lib.pipelines.refresh_profiles import ProfileRefresher
from profile_lib.pipelines.serving_model import load_served_model
from profile_lib.tables import BEHAVIOUR, PEOPLE, SESSIONS
from tests.agreement import agree
from tests.shops import START
from tests.small_shop import event, frame, new_shop, read_profiles, write_events
from tests.worlds import NOW

pytestmark = pytest.mark.slow

LINK_MINUTE = 40
EVENTS = [
    event(1, "cookie", 0, "view", "mug", 0),
    event(2, "cookie", 10, "view", "tee", 0),
    event(3, "ann", 20, "cart", "tee", 0),
    event(4, "ann", 50, "view", "pen", 0),
    event(5, "bob", 5, "view", "mug", 0),
]


@pytest.fixture
def shop(spark, tmp_path) -> tuple[Store, Settings]:
    store, settings = new_shop(spark, tmp_path)
    write_events(store, EVENTS)
    return store, settings


def link(store: Store, *ids: str) -> None:
    """Let the ids belong to Ann, known from a moment on; others do not."""
    known_ts = START + timedelta(minutes=LINK_MINUTE)
    rows = [(id, 0, None, None, "ann", known_ts) for id in ids]
    store.replace(PEOPLE, frame(store, PEOPLE, rows))


def refresh(store: Store, settings: Settings) -> dict[str, dict]:
    ProfileRefresher(store, settings, load_served_model(settings)).catch_up()
    return read_profiles(store)


def sessions(store: Store, settings: Settings) -> dict[str, list[int]]:
    """Return the number of events of each session of a user, after the run of a day."""
    build_sessions.run(store, settings, day=NOW.date())
    rows = store.read(SESSIONS).orderBy("start_ts").collect()
    counts: dict[str, list[int]] = {}
    for row in rows:
        counts.setdefault(row["user_id"], []).append(row["n_events"])
    return counts


def test_a_link_joins_profiles_and_sessions_as_a_rebuild_would_and_undoing_it_restores_them(shop):
    store, settings = shop
    settings = with_values(settings, {"sessions.gap_minutes": 15})
    link(store)
    before = refresh(store, settings)
    build_sessions.run(store, settings)
    assert set(before) == {"ann", "bob", "cookie"}
    assert sessions(store, settings) == {"cookie": [2], "ann": [1, 1], "bob": [1]}

    link(store, "cookie")
    linked = refresh(store, settings)
    assert set(linked) == {"ann", "bob"}
    assert [e["item_id"] for e in linked["ann"]["recent"]] == ["pen", "tee", "tee", "mug"]
    assert linked["bob"] == before["bob"]
    assert sessions(store, settings) == {"ann": [3, 1], "bob": [1]}
    ProfileRefresher(store, settings, load_served_model(settings)).rebuild()
    assert agree(read_profiles(store), linked)

    link(store)
    assert agree(refresh(store, settings), before)
    assert sessions(store, settings) == {"cookie": [2], "ann": [1, 1], "bob": [1]}


@pytest.mark.trial
def test_an_example_knows_the_events_of_a_linked_id_only_from_the_link_on(shop):
    store, settings = shop
    changes = {"cutoffs_per_session": 9, "train_cutoffs_per_session": 9, "min_session_events": 1}
    changes |= {"calendar_days": None, "first_cutoff": None, "last_cutoff": "2026-02-01"}
    settings = with_values(settings, {f"examples.{name}": v for name, v in changes.items()})
    link(store, "cookie")
    build_behaviour.run(store, settings)
    at_once = store.read(BEHAVIOUR).orderBy("user_id", "cutoff_ts").collect()
    anns = [
        (row["cutoff_ts"] - START, row["n_events"]) for row in at_once if row["user_id"] == "ann"
    ]
    just_after = [timedelta(minutes=minute, microseconds=1) for minute in (20, LINK_MINUTE, 50)]
    assert anns == list(zip(just_after, [1, 3, 4], strict=True))
    assert {row["user_id"] for row in at_once} == {"ann", "bob"}
    store.replace(BEHAVIOUR, store.read(BEHAVIOUR).limit(0))
    build_behaviour.run(store, settings, day=START.date())
    assert store.read(BEHAVIOUR).orderBy("user_id", "cutoff_ts").collect() == at_once
