"""What is credited to which impression, and what a late arrival can concern."""

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
    """Of each user one story; windows are an hour, and all is known until START + 80 minutes."""
    impressions = [
        impression_row("a1", "ann", 0), impression_row("a2", "ann", 10),
        impression_row("b1", "bob", 5),
        impression_row("c1", "cat", 0), impression_row("c2", "cat", 20),
        impression_row("d1", "dan", 0), impression_row("d2", "dan", 20),
        impression_row("e1", "eve", 0), impression_row("e2", "eve", 20),
        impression_row("f1", "fay", 0), impression_row("f1", "fay", 0),
        impression_row("g1", "gus", 30),
        impression_row("h1", "hal", 0), impression_row("h2", "hal", 50),
    ]  # fmt: skip
    acts = [
        event_row("ann", 12, "click"), event_row("ann", 11, "view"),
        event_row("bob", 4, "click"), event_row("bob", 65, "purchase"), event_row("bob", 6, "click", "pen"),
        event_row("cat", 0, "click"), event_row("cat", 30, "cart"), event_row("cat", 59, "purchase"),
        event_row("dan", 30, "purchase"), event_row("dan", 40, "purchase", price=None), event_row("dan", 35, "page"),
        event_row("eve", 0, "click"), event_row("eve", 61, "purchase", quantity=3),
        event_row("fay", 1, "cart"),
        event_row("hal", 5, "click"), event_row("hal", 55, "click"), event_row("hal", 58, "purchase"),
    ]  # fmt: skip
    frame = build_feedback(
        spark.createDataFrame(impressions, IMPRESSIONS.schema),
        spark.createDataFrame(acts, EVENTS.schema),
        window=HOUR,
        click_types=["click", "view"],
        as_of=START + timedelta(minutes=80),
    )
    rows = FEEDBACK.conform(frame).collect()
    assert len({row["impression_id"] for row in rows}) == len(rows)
    return {row["impression_id"]: row for row in rows}


def outcome(row):
    return row["is_clicked"], row["is_carted"], row["is_bought"], row["revenue"]


NOTHING = (False, False, False, 0.0)


def test_a_click_belongs_to_the_impression_before_it_not_to_an_earlier_one(feedback):
    assert outcome(feedback["a1"]) == NOTHING
    assert outcome(feedback["a2"]) == (True, False, False, 0.0)
    clicked = feedback["a2"]["clicked_ts"].astimezone(UTC)
    assert clicked == START + timedelta(minutes=11)  # the first of both


def test_what_came_before_any_impression_after_its_window_or_of_another_item_is_nobodys(feedback):
    assert outcome(feedback["b1"]) == NOTHING


def test_a_purchase_follows_the_click_and_not_what_was_shown_since(feedback):
    assert outcome(feedback["c1"]) == (True, True, True, 2.5)
    assert outcome(feedback["c2"]) == NOTHING


def test_a_purchase_without_a_click_belongs_to_the_impression_shown_last(feedback):
    assert outcome(feedback["d1"]) == NOTHING
    assert outcome(feedback["d2"]) == (False, False, True, 2.5)


def test_a_click_leads_no_further_than_its_impressions_window(feedback):
    assert outcome(feedback["e1"]) == (True, False, False, 0.0)
    assert outcome(feedback["e2"]) == (False, False, True, 7.5)


def test_a_later_click_leads_where_an_earlier_one_led_before(feedback):
    assert outcome(feedback["h1"]) == (True, False, False, 0.0)
    assert outcome(feedback["h2"]) == (True, False, True, 2.5)


def test_an_impression_told_twice_alike_is_one(feedback):
    assert outcome(feedback["f1"]) == (False, True, False, 0.0)


def test_an_impression_is_complete_once_its_window_is_known_to_be_over(feedback):
    assert feedback["d2"]["is_complete"]  # over at the last moment that is known
    assert not feedback["g1"]["is_complete"]


def test_what_was_shown_is_told_beside_what_became_of_it(feedback):
    row = feedback["g1"]
    told = ("request_id", "slot", "sources", "propensity", "model_version", "shown_date")
    assert [row[n] for n in told] == ["r-g1", 1, ["popular"], 0.5, "m1", START.date()]


def test_impressions_that_cannot_be_are_told(spark):
    rows = [
        impression_row("a", "ann", 0), impression_row("a", "ann", 1), impression_row("b", "ann", 0), impression_row("b", "bob", 0),
        impression_row("c", "ann", 0, slot=0),
        *(impression_row(f"d{p}", "ann", 0, propensity=p) for p in (0.0, 1.5, float("nan"))),
        impression_row("x", "ann", 0, propensity=None), impression_row("y", "ann", 0), impression_row("y", "ann", 0),
    ]  # fmt: skip
    told = (
        "impressions: 2 ids stand for impressions of different content, such as 'a'; "
        "1 ids have a slot below 1, such as 'c'; "
        "3 ids have a propensity not above 0 and up to 1, such as 'd0.0'; mend or remove"
    )
    frame = spark.createDataFrame(rows, IMPRESSIONS.schema)
    with pytest.raises(InputError, match=told):
        check_impressions(frame)
    check_impressions(frame.where("impression_id IN ('x', 'y')"))


def test_a_day_is_near_where_a_window_reaches_it():
    the_first = date(2026, 1, 1)
    assert days_within_window([the_first], timedelta(hours=24)) == {
        date(2025, 12, 31),
        the_first,
        date(2026, 1, 2),
    }
    assert len(days_within_window([the_first], timedelta(hours=25))) == 5
    assert days_within_window([], HOUR) == set()


# Stories drawn at random: impressions and acts of one item, in hours; windows are 30 hours.
WINDOW = timedelta(hours=30)
MOMENTS = st.integers(0, 8 * 24)
SHOWN = st.lists(MOMENTS, max_size=6, unique=True)
ACTS = st.lists(st.tuples(MOMENTS, st.sampled_from(["click", "cart", "purchase"])), max_size=6)
KINDS = ["click", "cart", "purchase"]  # at the same moment in this order


def told_by_hand(impressions, acts):
    """The kinds credited to each impression, by its moment; one act after another."""
    credited, clicked = {moment: set() for moment in impressions}, None
    for moment, kind in sorted(acts, key=lambda a: (a[0], KINDS.index(a[1]))):
        last = max((m for m in impressions if moment - 30 < m <= moment), default=None)
        if kind == "click":
            clicked = last if last is not None else clicked
        elif clicked is not None and moment - 30 < clicked:
            last = clicked
        if last is not None:
            credited[last].add(kind)
    return credited


def day_of(moment):
    return (START + timedelta(hours=moment)).date()


@settings(deadline=None)
@given(SHOWN, ACTS, SHOWN, ACTS)
def test_what_arrives_changes_the_days_near_it_alone(shown_before, acts_before, shown_late, late):
    before = told_by_hand(shown_before, acts_before)
    after = told_by_hand({*shown_before, *shown_late}, acts_before + late)
    changed = {day_of(m) for m in after if after[m] != before.get(m, set())}
    news = {*map(day_of, shown_late), *(day_of(moment) for moment, _ in late)}
    assert changed <= days_within_window(news, WINDOW)


@settings(deadline=None)
@given(SHOWN, ACTS, MOMENTS)
def test_a_day_is_told_by_the_days_near_it(impressions, acts, moment):
    near = days_within_window([day_of(moment)], WINDOW)
    told = told_by_hand(impressions, acts)
    told_by_near = told_by_hand(
        [m for m in impressions if day_of(m) in near], [a for a in acts if day_of(a[0]) in near]
    )
    for m in impressions:
        if day_of(m) == day_of(moment):
            assert told_by_near[m] == told[m]


def test_spark_tells_what_is_told_by_hand(spark):
    rng = np.random.default_rng(6)
    impressions, acts, told = [], [], {}
    for user in (f"u{n}" for n in range(60)):
        moments = rng.choice(100, 5, replace=False).tolist()
        done = [(int(rng.integers(100)), str(rng.choice(KINDS))) for _ in range(6)]
        impressions += [impression_row(f"{user}-{m}", user, 60 * m) for m in moments]
        acts += [
            event_row(user, 60 * m, kind, event_id=f"{user}{n}") for n, (m, kind) in enumerate(done)
        ]
        told |= {f"{user}-{m}": kinds for m, kinds in told_by_hand(moments, done).items()}
    frame = build_feedback(
        spark.createDataFrame(impressions, IMPRESSIONS.schema),
        spark.createDataFrame(acts, EVENTS.schema),
        window=WINDOW,
        click_types=["click"],
        as_of=START,
    )
    found = {
        row["impression_id"]: {
            kind for kind, is_so in zip(KINDS, outcome(row), strict=False) if is_so
        }
        for row in frame.collect()
    }
    assert found == told
