"""What is credited to which impression, and what a late arrival can concern."""

from datetime import UTC, date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_lib.errors import InputError
from profile_lib.feedback.outcomes import build_feedback, check_impressions, days_near
from profile_lib.tables import EVENTS, FEEDBACK, IMPRESSIONS
from tests.impressions import START, act, shown

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def feedback(spark):
    """Of each user one story; windows are an hour, and all is known until START + 80 minutes."""
    impressions = [
        shown("a1", "ann", 0), shown("a2", "ann", 10),
        shown("b1", "bob", 5),
        shown("c1", "cat", 0), shown("c2", "cat", 20),
        shown("d1", "dan", 0), shown("d2", "dan", 20),
        shown("e1", "eve", 0), shown("e2", "eve", 20),
        shown("f1", "fay", 0), shown("f1", "fay", 0),
        shown("g1", "gus", 30),
        shown("h1", "hal", 0), shown("h2", "hal", 50),
    ]  # fmt: skip
    acts = [
        act("ann", 12, "click"), act("ann", 11, "view"),
        act("bob", 4, "click"), act("bob", 65, "purchase"), act("bob", 6, "click", "pen"),
        act("cat", 0, "click"), act("cat", 30, "cart"), act("cat", 59, "purchase"),
        act("dan", 30, "purchase"), act("dan", 40, "purchase", price=None), act("dan", 35, "page"),
        act("eve", 0, "click"), act("eve", 61, "purchase", quantity=3),
        act("fay", 1, "cart"),
        act("hal", 5, "click"), act("hal", 55, "click"), act("hal", 58, "purchase"),
    ]  # fmt: skip
    frame = build_feedback(
        spark.createDataFrame(impressions, IMPRESSIONS.schema),
        spark.createDataFrame(acts, EVENTS.schema),
        window=HOUR,
        click_types=["click", "view"],
        known_until=START + timedelta(minutes=80),
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
        shown("a", "ann", 0), shown("a", "ann", 1), shown("b", "ann", 0), shown("b", "bob", 0),
        shown("c", "ann", 0, slot=0),
        *(shown(f"d{p}", "ann", 0, propensity=p) for p in (0.0, 1.5, float("nan"))),
        shown("x", "ann", 0, propensity=None), shown("y", "ann", 0), shown("y", "ann", 0),
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
    assert days_near([the_first], timedelta(hours=24)) == {
        date(2025, 12, 31),
        the_first,
        date(2026, 1, 2),
    }
    assert len(days_near([the_first], timedelta(hours=25))) == 5
    assert days_near([], HOUR) == set()


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
    assert changed <= days_near(news, WINDOW)


@settings(deadline=None)
@given(SHOWN, ACTS, MOMENTS)
def test_a_day_is_told_by_the_days_near_it(impressions, acts, moment):
    near = days_near([day_of(moment)], WINDOW)
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
        impressions += [shown(f"{user}-{m}", user, 60 * m) for m in moments]
        acts += [act(user, 60 * m, kind, event_id=f"{user}{n}") for n, (m, kind) in enumerate(done)]
        told |= {f"{user}-{m}": kinds for m, kinds in told_by_hand(moments, done).items()}
    frame = build_feedback(
        spark.createDataFrame(impressions, IMPRESSIONS.schema),
        spark.createDataFrame(acts, EVENTS.schema),
        window=WINDOW,
        click_types=["click"],
        known_until=START,
    )
    found = {
        row["impression_id"]: {
            kind for kind, is_so in zip(KINDS, outcome(row), strict=False) if is_so
        }
        for row in frame.collect()
    }
    assert found == told
