"""Check that the ids of one person have one history, with links known only from their moment."""

from datetime import datetime, timedelta

import hypothesis
import pytest
from hypothesis import strategies as st
from pyspark.sql import DataFrame

from profile_lib.features.histories import HistoryLimits, build_histories, select_past_events
from profile_lib.features.person_histories import merge_person_histories
from tests.features.behaviour_world import event, event_rows

NOON = datetime(2026, 1, 10, 12)
HOUR = timedelta(hours=1)
PEOPLE = (
    "user_id string, from_ts timestamp, until_ts timestamp, person_id string, known_ts timestamp"
)
LIMITS = HistoryLimits(max_events=4, days=30, max_purchase_lines=4)


def build_from_events(spark, events: list[dict]) -> DataFrame:
    return build_histories(select_past_events(event_rows(spark, events), "user_id"), LIMITS)


def by_user(histories: DataFrame) -> dict[str, dict]:
    return {row["user_id"]: row.asDict(recursive=True) for row in histories.collect()}


drawn_events = st.lists(
    st.tuples(
        st.sampled_from(["login", "phone", "laptop", "other"]),
        st.integers(-100, 0),
        st.sampled_from(["view", "purchase", "return"]),
        st.sampled_from([0.1, 0.7, 1e9]),
    ),
    min_size=12,
    max_size=40,
)


@hypothesis.settings(max_examples=2, deadline=None)
@hypothesis.given(drawn=drawn_events)
def test_a_person_has_the_history_of_one_id_with_all_events_known_from_the_links_on(spark, drawn):
    linked_ts = {"phone": NOON - 50 * HOUR, "laptop": NOON + HOUR}
    events = [
        event(user, NOON + hours * HOUR, kind, "mug", price=price) | {"event_id": f"{n:03}"}
        for n, (user, hours, kind, price) in enumerate(drawn)
    ]
    people = spark.createDataFrame(
        [
            ("login", None, None, "login", NOON + 9 * HOUR),
            *[(user, None, None, "login", known) for user, known in linked_ts.items()],
        ],
        PEOPLE,
    )
    merged = merge_person_histories(build_from_events(spark, events), people, LIMITS)
    as_one_id = [
        e
        | {
            "user_id": "other" if e["user_id"] == "other" else "login",
            "ingest_ts": max(e["ingest_ts"], linked_ts.get(e["user_id"], e["ingest_ts"])),
        }
        for e in events
    ]
    expected = by_user(build_from_events(spark, as_one_id))
    assert by_user(merged) == expected
    assert len(expected) <= 2


@pytest.mark.parametrize("n_older", [0, 2])
def test_a_shared_device_gives_each_person_the_events_of_their_time_and_keeps_the_rest(
    spark, n_older
):
    kiosk = [event("kiosk", NOON + n * HOUR, "view", f"item {n}") for n in range(-n_older, 4)]
    ann = [event("ann", NOON + HOUR, "cart", "tee")]
    people = spark.createDataFrame(
        [
            ("kiosk", NOON + HOUR, NOON + 2 * HOUR, "ann", NOON + 5 * HOUR),
            ("kiosk", NOON + 2 * HOUR, NOON + 3 * HOUR, "bob", NOON),
        ],
        PEOPLE,
    )
    histories = by_user(
        merge_person_histories(build_from_events(spark, kiosk + ann), people, LIMITS)
    )
    items = {user: [e["item_id"] for e in row["events"]] for user, row in histories.items()}
    assert items == {"ann": ["tee", "item 1"], "bob": ["item 2"], "kiosk": ["item 0", "item 3"]}
    assert [e["ingest_ts"] for e in histories["ann"]["events"]] == [NOON + HOUR, NOON + 5 * HOUR]
    n_counted = {user: sum(c["n_events"] for c in row["older"]) for user, row in histories.items()}
    assert n_counted == {"ann": 0, "bob": 0, "kiosk": n_older}
    assert histories["kiosk"]["first_ts"] == NOON - n_older * HOUR
