"""Check that a model is trained on what it knows when it serves, up to complete labels."""

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.features.as_of import build_histories_as_of
from profile_lib.features.catalog_words import project_catalog
from profile_lib.features.histories import build_histories, select_past_events, unfold_events
from profile_lib.pipelines import build_behaviour
from profile_lib.pipelines.serving_model import build_current_behaviour
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS
from tests.features.behaviour_world import CATALOG, LIMITS, event, event_rows
from tests.worlds import dev_settings

SECOND = timedelta(seconds=1)
START = datetime(2026, 1, 10, 9)


def late_event(minute: float, kind: str, item: str, late: timedelta = SECOND, **values) -> dict:
    """Return an event of Ann at a minute after START that arrives `late` after it."""
    ts = START + timedelta(minutes=minute)
    return event("ann", ts, kind, item, price=2.5, **values) | {"ingest_ts": ts + late}


SESSION = [
    late_event(0, "view", "mug"),
    late_event(1, "view", "tee"),
    late_event(2, "cart", "tee"),
    late_event(3, "purchase", "tee"),
]


@pytest.fixture
def shop(spark, store, tmp_path):
    """A function that stores events and returns the store with the settings."""

    def make(events, *changes):
        store.replace(ITEMS, spark.createDataFrame(list(CATALOG), ITEMS.schema))
        store.replace(EVENTS, event_rows(spark, events))
        return store, dev_settings(
            tmp_path, "examples.cutoffs_per_session=9", "examples.train_cutoffs_per_session=9",
            "examples.calendar_days=null", "examples.first_cutoff=null", *changes,
        )  # fmt: skip

    return make


def test_with_a_second_of_delay_training_and_serving_know_the_same_events(shop):
    store, settings = shop(SESSION, "examples.last_cutoff='2026-02-01'")
    build_behaviour.run(store, settings)
    trained = store.read(BEHAVIOUR).orderBy("cutoff_ts").collect()
    assert [row["n_events"] for row in trained] == [1, 2, 3, 4]
    assert {row["seconds_since_event"] for row in trained} == {1.000001}
    for n, row in enumerate(trained, start=1):
        arrived = store.read(EVENTS).orderBy("event_ts").limit(n)
        histories = build_histories(select_past_events(arrived, "user_id"), LIMITS)
        catalog = project_catalog(store.read(ITEMS))
        (served,) = build_current_behaviour(histories, catalog, settings).collect()
        assert served == row


def test_day_by_day_equals_all_days_at_once_also_for_users_with_many_events_and_late_ones(shop):
    """Cy has more events than a history of three; one of them and one of Bob's arrive days late."""
    days = [24 * 60 * day + minute for day in range(2) for minute in (0, 1, 2, 3)]
    events = [
        event(user, START + timedelta(minutes=minute), "view", item, price=2.5)
        for user, minutes in (("bob", days[:3]), ("cy", days))
        for item, minute in zip(["mug", "tee", "pen"] * 3, minutes, strict=False)
    ]
    for late in (events[1], events[4]):
        late["ingest_ts"] = START + timedelta(days=1, hours=1)
    store, settings = shop(events, "examples.last_cutoff='2026-02-01'", "histories.max_events=3")
    build_behaviour.run(store, settings)
    at_once = store.read(BEHAVIOUR).orderBy("user_id", "cutoff_ts").collect()
    assert len(at_once) == len(events)
    store.replace(BEHAVIOUR, store.read(BEHAVIOUR).limit(0))
    for day in range(2):
        build_behaviour.run(store, settings, day=(START + timedelta(days=day)).date())
    assert store.read(BEHAVIOUR).orderBy("user_id", "cutoff_ts").collect() == at_once


def test_an_event_is_never_known_at_a_cutoff_and_a_label_of_it(shop):
    """A label lies at the cutoff or after it, and an event is known only after its own time."""
    hurried = [late_event(n / 60, "view", "mug", late=timedelta(seconds=90)) for n in range(4)]
    store, settings = shop(hurried, "examples.last_cutoff='2026-02-01'")
    build_behaviour.run(store, settings)
    cutoffs = store.read(BEHAVIOUR).select("user_id", "cutoff_ts")
    assert cutoffs.count() == 4
    histories = build_histories_as_of(store.read(EVENTS), cutoffs, LIMITS)
    known = unfold_events(histories, ("user_id", "cutoff_ts"))
    assert known.count() == 1 + 2 + 3 + 4
    assert known.where("event_ts >= cutoff_ts").isEmpty()


def test_a_clock_23_hours_ahead_lets_no_cutoff_have_a_truncated_horizon(shop):
    days = [late_event(24 * 60 * day + n, "view", "mug") for day in range(3) for n in range(4)]
    last = START + timedelta(days=2, minutes=3)
    ahead = late_event(0, "view", "mug") | {
        "event_id": "ahead", "event_ts": last + timedelta(hours=23), "ingest_ts": last,
    }  # fmt: skip
    store, settings = shop([*days, ahead], "examples.last_cutoff=null")
    assert settings.examples.horizon_hours == 24
    build_behaviour.run(store, settings)
    (latest,) = store.read(BEHAVIOUR).agg(F.max("cutoff_ts")).first()
    assert latest == START + timedelta(days=1, minutes=2, seconds=1, microseconds=1)
    assert latest.replace(tzinfo=UTC) <= last.replace(tzinfo=UTC) - timedelta(hours=24)


def test_an_export_of_the_past_has_no_cutoffs_and_the_error_says_what_to_do(shop):
    days = [
        late_event(24 * 60 * day + n, "view", "mug", late=timedelta(days=400))
        for day in range(3)
        for n in range(4)
    ]
    store, settings = shop(days, "examples.last_cutoff=null")
    with pytest.raises(
        InputError, match="2026-01-10 on, but the first one arrived at 2027-02-14 09:00.*ingest_ts"
    ):
        build_behaviour.run(store, settings)
    assert not store.exists(BEHAVIOUR)


def test_events_in_sessions_that_are_too_short_have_no_cutoffs(shop):
    store, settings = shop(SESSION, "examples.last_cutoff=null", "examples.min_session_events=9")
    with pytest.raises(InputError, match=r"examples\.min_session_events"):
        build_behaviour.run(store, settings)
