"""Check which impression each click, cart and purchase is credited to."""

from datetime import UTC, date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_lib.errors import InputError
from profile_lib.feedback.attribution import build_feedback, check_impressions, days_within_window
from profile_lib.tables import EVENTS, FEEDBACK, IMPRESSIONS
from tests.impressions import START, event_row, impression_row

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def feedback(spark):
    """Feedback by impression: one case per user, windows of an hour, known until minute 80."""
    impressions = [
        impression_row("a1", "ann", 0), impression_row("a2", "ann", 10),
        impression_row("b1", "bob", 5),
        impression_row("c1", "cat", 0), impression_row("c2", "cat", 20),
        impression_row("d1", "dan", 0), impression_row("d2", "dan", 20),
        impression_row("e1", "eve", 0), impression_row("e2", "eve", 20),
        impression_row("f1", "fay", 0), impression_row("f1", "fay", 0),
        impression_row("g1", "gus", 30),
        impression_row("h1", "hal", 0), impression_row("h2", "hal", 50),
        impression_row("i1", "ida", 0), impression_row("i2", "ida", 40),
        impression_row("j1", "joe", 0),
        impression_row("k1", "kim", 0),
    ]  # fmt: skip
    events = [
        event_row("ann", 12, "click"), event_row("ann", 11, "view"),
        event_row("bob", 4, "click"), event_row("bob", 65, "purchase"),
        event_row("bob", 6, "click", "pen"),
        event_row("cat", 0, "click"), event_row("cat", 30, "cart"),
        event_row("cat", 59, "purchase"),
        event_row("dan", 30, "purchase"), event_row("dan", 40, "purchase", price=None),
        event_row("dan", 35, "page"),
        event_row("eve", 0, "click"), event_row("eve", 61, "purchase", quantity=3.0),
        event_row("fay", 1, "cart"),
        event_row("hal", 5, "click"), event_row("hal", 55, "click"),
        event_row("hal", 58, "purchase"),
        event_row("ida", 30, "purchase", quantity=2.5), event_row("ida", 50, "return"),
        event_row("ida", 61, "return", quantity=9.0),
        event_row("joe", 5, "return"),
        event_row("kim", 9, "purchase", event_id="z", sequence=1, quantity=0.5),
        event_row("kim", 9, "return", event_id="a", sequence=2, quantity=0.5),
    ]  # fmt: skip
    frame = build_feedback(
        spark.createDataFrame(impressions, IMPRESSIONS.schema),
        spark.createDataFrame(events, EVENTS.schema),
        window=HOUR,
        click_types=["click", "view"],
        as_of=START + timedelta(minutes=80),
    )
    rows = FEEDBACK.conform(frame).collect()
    assert len({row["impression_id"] for row in rows}) == len(rows)
    return {row["impression_id"]: row for row in rows}


def outcome(row):
    return row["is_clicked"], row["is_carted"], row["is_bought"], row["revenue"]


NO_OUTCOME = (False, False, False, 0.0)


def test_a_click_is_credited_to_the_last_impression_before_it(feedback):
    assert outcome(feedback["a1"]) == NO_OUTCOME
    assert outcome(feedback["a2"]) == (True, False, False, 0.0)
    clicked = feedback["a2"]["clicked_ts"].astimezone(UTC)
    assert clicked == START + timedelta(minutes=11)  # the earlier of the two clicks


def test_an_event_outside_every_window_or_of_another_item_is_not_credited(feedback):
    assert outcome(feedback["b1"]) == NO_OUTCOME


def test_a_purchase_is_credited_to_the_clicked_impression_and_not_to_a_later_one(feedback):
    assert outcome(feedback["c1"]) == (True, True, True, 2.5)
    assert outcome(feedback["c2"]) == NO_OUTCOME


def test_a_purchase_without_a_click_is_credited_to_the_last_impression(feedback):
    assert outcome(feedback["d1"]) == NO_OUTCOME
    assert outcome(feedback["d2"]) == (False, False, True, 2.5)


def test_a_click_leads_to_a_purchase_only_within_its_impressions_window(feedback):
    assert outcome(feedback["e1"]) == (True, False, False, 0.0)
    assert outcome(feedback["e2"]) == (False, False, True, 7.5)


def test_a_purchase_is_credited_to_the_last_of_several_clicked_impressions(feedback):
    assert outcome(feedback["h1"]) == (True, False, False, 0.0)
    assert outcome(feedback["h2"]) == (True, False, True, 2.5)


def test_a_return_takes_its_value_from_the_impression_of_its_purchase_within_the_window(feedback):
    assert outcome(feedback["i1"]) == (False, False, True, 3.75)  # 2.5 pieces less 1, at 2.5 each
    assert outcome(feedback["i2"]) == NO_OUTCOME
    assert outcome(feedback["k1"]) == (False, False, True, 0.0)


def test_a_return_without_a_credited_purchase_is_not_credited(feedback):
    assert outcome(feedback["j1"]) == NO_OUTCOME


def test_an_impression_recorded_twice_has_one_row(feedback):
    assert outcome(feedback["f1"]) == (False, True, False, 0.0)


def test_an_impression_is_complete_once_its_window_has_passed(feedback):
    assert feedback["d2"]["is_complete"]  # its window ends at the last known moment
    assert not feedback["g1"]["is_complete"]


def test_feedback_keeps_the_columns_of_the_impression(feedback):
    row = feedback["g1"]
    columns = ("request_id", "slot", "sources", "propensity", "model_version", "shown_date")
    assert [row[name] for name in columns] == ["r-g1", 1, ["popular"], 0.5, "m1", START.date()]


def test_contradicting_and_invalid_impressions_are_refused(spark):
    rows = [
        impression_row("a", "ann", 0), impression_row("a", "ann", 1),
        impression_row("b", "ann", 0), impression_row("b", "bob", 0),
        impression_row("c", "ann", 0, slot=0),
        *(impression_row(f"d{p}", "ann", 0, propensity=p) for p in (0.0, 1.5, float("nan"))),
        impression_row("x", "ann", 0, propensity=None),
        impression_row("y", "ann", 0), impression_row("y", "ann", 0),
    ]  # fmt: skip
    message = (
        "impressions: 2 ids stand for impressions of different content, such as 'a'; "
        "1 ids have a slot below 1, such as 'c'; "
        "3 ids have a propensity that is not above 0 and at most 1, such as 'd0.0'; fix or remove"
    )
    frame = spark.createDataFrame(rows, IMPRESSIONS.schema)
    with pytest.raises(InputError, match=message):
        check_impressions(frame)
    check_impressions(frame.where("impression_id IN ('x', 'y')"))


def test_days_within_a_window_are_counted_in_whole_days():
    first = date(2026, 1, 1)
    assert days_within_window([first], timedelta(hours=24)) == {
        date(2025, 12, 31),
        first,
        date(2026, 1, 2),
    }
    assert len(days_within_window([first], timedelta(hours=25))) == 5
    assert days_within_window([], HOUR) == set()


# Random impressions and actions of one item, at whole hours, with windows of 30 hours.
WINDOW = timedelta(hours=30)
HOURS = st.integers(0, 8 * 24)
IMPRESSION_HOURS = st.lists(HOURS, max_size=6, unique=True)
KINDS = ["click", "cart", "purchase"]  # the order of actions at the same moment
ACTIONS = st.lists(st.tuples(HOURS, st.sampled_from(KINDS)), max_size=6)


def attribute_by_loop(impressions, actions):
    """The kinds credited to each impression, by its hour; one action after another."""
    credited, clicked = {hour: set() for hour in impressions}, None
    for hour, kind in sorted(actions, key=lambda a: (a[0], KINDS.index(a[1]))):
        impression = max((i for i in impressions if hour - 30 < i <= hour), default=None)
        if kind == "click":
            clicked = impression if impression is not None else clicked
        elif clicked is not None and hour - 30 < clicked:
            impression = clicked
        if impression is not None:
            credited[impression].add(kind)
    return credited


def day_of(hour):
    return (START + timedelta(hours=hour)).date()


@settings(deadline=None)
@given(IMPRESSION_HOURS, ACTIONS, IMPRESSION_HOURS, ACTIONS)
def test_late_rows_change_only_the_days_within_a_window(
    impressions, actions, late_impressions, late_actions
):
    before = attribute_by_loop(impressions, actions)
    after = attribute_by_loop({*impressions, *late_impressions}, actions + late_actions)
    changed = {day_of(hour) for hour in after if after[hour] != before.get(hour, set())}
    arrival_days = {*map(day_of, late_impressions), *(day_of(hour) for hour, _ in late_actions)}
    assert changed <= days_within_window(arrival_days, WINDOW)


@settings(deadline=None)
@given(IMPRESSION_HOURS, ACTIONS, HOURS)
def test_the_feedback_of_a_day_depends_only_on_the_days_within_a_window(impressions, actions, hour):
    near = days_within_window([day_of(hour)], WINDOW)
    of_all_days = attribute_by_loop(impressions, actions)
    of_near_days = attribute_by_loop(
        [i for i in impressions if day_of(i) in near], [a for a in actions if day_of(a[0]) in near]
    )
    for impression in impressions:
        if day_of(impression) == day_of(hour):
            assert of_near_days[impression] == of_all_days[impression]


def test_spark_attributes_as_a_loop_over_single_actions_does(spark):
    rng = np.random.default_rng(6)
    impressions, events, expected = [], [], {}
    for user in (f"u{n}" for n in range(60)):
        hours = rng.choice(100, 5, replace=False).tolist()
        actions = [(int(rng.integers(100)), str(rng.choice(KINDS))) for _ in range(6)]
        impressions += [impression_row(f"{user}-{hour}", user, 60 * hour) for hour in hours]
        events += [
            event_row(user, 60 * hour, kind, event_id=f"{user}{n}")
            for n, (hour, kind) in enumerate(actions)
        ]
        credited = attribute_by_loop(hours, actions)
        expected |= {f"{user}-{hour}": kinds for hour, kinds in credited.items()}
    frame = build_feedback(
        spark.createDataFrame(impressions, IMPRESSIONS.schema),
        spark.createDataFrame(events, EVENTS.schema),
        window=WINDOW,
        click_types=["click"],
        as_of=START,
    )
    attributed = {
        row["impression_id"]: {
            kind for kind, is_credited in zip(KINDS, outcome(row), strict=False) if is_credited
        }
        for row in frame.collect()
    }
    assert attributed == expected
