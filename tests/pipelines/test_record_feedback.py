"""Check that recording feedback handles late rows, repeated runs and experiments."""

from datetime import timedelta

import pytest

from profile_lib.errors import InputError
from profile_lib.pipelines import record_feedback
from profile_lib.tables import (
    EVENTS,
    EXPERIMENT_READOUTS,
    FEEDBACK,
    FEEDBACK_MEASURES,
    IMPRESSIONS,
    PEOPLE,
)
from tests.impressions import START, event_row, feedback_row, impression_row
from tests.worlds import dev_settings

DAY = 24 * 60


def experiment(name):
    """The setting of an experiment with two equal arms."""
    shares = "shares: {a: 0.5, b: 0.5}, ctr_effect: 0.1, revenue_effect: 1.0"
    return f"feedback.experiments={{{name}: {{control: a, {shares}}}}}"


def put(store, table, *rows):
    store.append(table, store.spark.createDataFrame(list(rows), table.schema))


def rows_of_feedback(store):
    return [
        sorted(map(tuple, store.read(table).collect()), key=str)
        for table in (FEEDBACK, FEEDBACK_MEASURES)
    ]


def bought_impressions(store):
    rows = store.read(FEEDBACK).where("is_bought").select("impression_id").collect()
    return {row["impression_id"] for row in rows}


@pytest.mark.slow
def test_late_rows_change_only_their_feedback_and_give_the_tables_of_a_full_run(store, tmp_path):
    config = dev_settings(tmp_path)
    put(
        store,
        IMPRESSIONS,
        impression_row("a", "ann", 0),
        impression_row("b", "ann", DAY),
        impression_row("c", "bob", DAY),
        impression_row("d", "bob", 5 * DAY),
    )
    put(
        store,
        EVENTS,
        event_row("ann", DAY + 5, "click"),
        event_row("bob", 5 * DAY + 1, "view", "pen"),
    )
    record_feedback.run(store, config)
    complete = store.read(FEEDBACK).where("is_complete").select("impression_id").collect()
    assert {row[0] for row in complete} == {"a", "b", "c"}

    late = START + timedelta(days=8)  # the event arrived in time and is loaded late
    put(store, EVENTS, event_row("ann", DAY + 9, "purchase", load_date=late.date()))
    put(store, EVENTS, event_row("bob", 8 * DAY, "page"))
    put(store, IMPRESSIONS, impression_row("e", "ann", DAY + 7, ingest_ts=late))
    assert bought_impressions(store) == set()
    record_feedback.run(store, config, late.date())
    assert bought_impressions(store) == {"b"}
    merge = store._delta(FEEDBACK).history(1).select("operationMetrics").collect()[0][0]
    changed = merge["numTargetRowsUpdated"], merge["numTargetRowsInserted"]
    assert changed == ("2", "1")  # b is bought now, d is complete now, e is new

    incremental = rows_of_feedback(store)
    record_feedback.run(store, config)
    assert rows_of_feedback(store) == incremental


def test_a_purchase_is_credited_to_an_impression_that_the_person_saw_before_the_login(
    store, tmp_path
):
    put(store, IMPRESSIONS, impression_row("a", "cookie", 0), impression_row("b", "bob", 0))
    put(store, EVENTS, event_row("ann", 5, "purchase"))
    put(store, PEOPLE, ("cookie", 0, None, None, "ann", START))
    record_feedback.run(store, dev_settings(tmp_path))
    rows = {row["impression_id"]: row["user_id"] for row in store.read(FEEDBACK).collect()}
    assert rows == {"a": "ann", "b": "bob"}
    assert bought_impressions(store) == {"a"}


def test_a_clock_23_hours_ahead_completes_no_impression(store, tmp_path):
    put(store, IMPRESSIONS, impression_row("a", "ann", 0))
    arrival = START + timedelta(hours=2)
    put(store, EVENTS, event_row("ann", 25 * 60, "page", ingest_ts=arrival))
    record_feedback.run(store, dev_settings(tmp_path))
    assert [row["is_complete"] for row in store.read(FEEDBACK).collect()] == [False]


def test_arms_are_compared_and_missing_or_mixed_arms_are_refused(store, tmp_path):
    users = ("a1", "a2", "a3", "b1", "b2", "b3")
    rows = [
        {"experiment": "ranker", "user_id": user, "variant": user[0], "is_clicked": clicked}
        for user in users
        for clicked in (user in ("a1", "b1"), False)
    ]
    rows += [{"experiment": "mixed", "user_id": "a1", "variant": arm} for arm in ("a", "b")]
    numbered = [feedback_row(impression_id=f"i{n}", **row) for n, row in enumerate(rows)]
    put(store, FEEDBACK, *(tuple(row.values()) for row in numbered))
    ranker, mixed, other = (
        dev_settings(tmp_path, "feedback.min_users=2", experiment(name)).feedback
        for name in ("ranker", "mixed", "other")
    )
    record_feedback.record_experiment_readouts(store, ranker, START.date())
    readouts = {r["measure"]: r for r in store.read(EXPERIMENT_READOUTS).collect()}
    assert set(readouts) == {"ctr", "revenue"}
    row = readouts["ctr"]
    assert (row["experiment"], row["variant"], row["as_of_date"]) == ("ranker", "b", START.date())
    assert (row["n_users"], row["n_control"], row["verdict"]) == (3, 3, "open")
    assert (row["value"], row["difference"]) == (pytest.approx(1 / 6), pytest.approx(0.0))
    assert (readouts["revenue"]["verdict"], readouts["revenue"]["low"]) == ("early", None)
    with pytest.raises(InputError, match="mixed: 1 users were in more than one arm, wanted one"):
        record_feedback.record_experiment_readouts(store, mixed, START.date())
    with pytest.raises(InputError, match=r"other: found users in arms \[\], wanted \['a', 'b'\]"):
        record_feedback.record_experiment_readouts(store, other, START.date())


def test_a_shop_without_events_is_refused(spark, store, tmp_path):
    with pytest.raises(InputError, match="events: no table at"):
        record_feedback.run(store, dev_settings(tmp_path))
    store.replace(EVENTS, spark.createDataFrame([], EVENTS.schema))
    with pytest.raises(InputError, match="events: found no event; run python jobs/ingest_events"):
        record_feedback.run(store, dev_settings(tmp_path))
