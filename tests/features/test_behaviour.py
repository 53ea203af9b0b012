"""Check every number of behaviour on small histories."""

from datetime import datetime, timedelta

import pytest

from profile_lib.tables import BEHAVIOUR
from tests.features.behaviour_world import build, event


def at(hour: float, day: int = 10) -> datetime:
    return datetime(2026, 1, day) + timedelta(hours=hour)


@pytest.fixture(scope="module")
def behaviour(spark):
    """A function that builds behaviour of events at cutoffs, by user and cutoff."""

    def collect(events: list[dict], *cutoffs: tuple[str, datetime]) -> dict:
        rows = BEHAVIOUR.conform(build(spark, events, *cutoffs)).collect()
        return {(row.user_id, row.cutoff_ts): row.asDict(recursive=True) for row in rows}

    return collect


ANN_EVENTS = [
    event("ann", at(9, day=2), "view", "tee", price=20.0, channel="mail", device="mobile"),
    event("ann", at(9, day=9), "view", "mug", price=10.0, dwell_seconds=5.0, channel="web"),
    event("ann", at(9.1, day=9), "purchase", "mug", price=10.0, quantity=2.0, order_id="1"),
    event("ann", at(9.1, day=9), "purchase", "pen", price=1.0, order_id="1"),
    event("ann", at(9), "search", query="blue mug", channel="web"),
    event("ann", at(9.1), "view", "mug", price=10.0, dwell_seconds=7.0, channel="web"),
    event("ann", at(9.2), "cart", "mug", price=10.0, quantity=3.0, channel="web"),
    event("ann", at(9.25), "uncart", "mug", price=10.0, quantity=1.0, channel="web"),
    event("ann", at(9.3), "page", text="basket", channel="web", region="paris", system="linux",
          browser="firefox"),
]  # fmt: skip
NOON = ("ann", at(12))


@pytest.fixture(scope="module")
def ann_at_noon(behaviour) -> dict:
    """The behaviour of Ann at noon."""
    return behaviour(ANN_EVENTS, NOON)[NOON]


def test_a_small_history_has_the_numbers_counted_by_hand(ann_at_noon):
    expected = {
        "last_event_ts": at(9.3),
        "n_events": 9, "n_sessions": 3, "n_orders": 1, "order_value": 21.0,
        "n_view": 3, "n_view_session": 1, "n_view_1d": 1, "n_view_7d": 2, "n_view_30d": 3,
        "n_purchase": 2, "n_purchase_session": 0, "n_purchase_1d": 0, "n_purchase_7d": 2,
        "n_search_session": 1, "n_cart_session": 1, "n_page_session": 1, "n_review": 0,
        "n_items": 3, "n_items_session": 1, "n_categories_session": 1,
        "max_views_per_item": 2, "n_in_cart": 2.0, "cart_value": 20.0,
        "mean_price": pytest.approx(71 / 7), "price_level": 0.5, "bought_price_level": 0.8,
        "rating": None, "session_seconds": 3 * 3600, "session_dwell_seconds": 7.0,
        "last_gap_seconds": pytest.approx(180), "seconds_since_event": pytest.approx(2.7 * 3600),
        "seconds_since_cart": pytest.approx(2.8 * 3600), "seconds_since_checkout": None,
        "seconds_since_purchase": pytest.approx(26.9 * 3600),
        "days_since_first_event": pytest.approx(8.125), "hour": 12, "weekday": 7,
        "n_items_added": 1, "n_items_added_session": 1, "n_views_last_item": 2,
        "is_last_item_added": True, "last_seen_price": 10.0, "last_added_price": 10.0,
        "max_price_session": 10.0,
        "channels": {"mail": 1, "web": 6}, "devices": {"mobile": 1}, "regions": {"paris": 1},
        "referrers": {}, "systems": {"linux": 1}, "browsers": {"firefox": 1},
        "active_hours": [0] * 9 + [9] + [0] * 14,
    }  # fmt: skip
    assert {name: ann_at_noon[name] for name in expected} == expected


def test_steps_are_counted_and_the_funnel_depth_is_the_furthest_step(behaviour):
    events = [
        event("ann", at(9, day=9), "page", step="home"),
        event("ann", at(9.1, day=9), "checkout", step="confirm"),
        event("ann", at(9.2, day=9), "purchase", "mug", step="done"),
        event("ann", at(9.3, day=9), "page", step="home"),
        event("ann", at(9), "cart", "tee"),
        event("ann", at(9.1), "page", step="signin"),
        event("ann", at(9.2), "page", step="basket"),
        event("ann", at(9.3), "view", "tee"),
        event("ann", at(9.4), "page", step="home"),
    ]
    noon, early = ("ann", at(12)), ("ann", at(9.15, day=9))
    by_cutoff = behaviour(events, noon, early)
    expected = {
        "n_home_step": 3, "n_home_step_session": 1, "n_basket_step": 1, "n_basket_step_session": 1,
        "n_done_step": 1, "n_done_step_session": 0, "n_payment_step": 0,
        "seconds_since_home_step": pytest.approx(2.6 * 3600),
        "seconds_since_payment_step": None,
        "funnel_depth": 7, "funnel_depth_session": 3, "funnel_depth_since_purchase": 3,
        "funnel_depth_last": 2,
        "events_since_funnel_step": 2, "seconds_since_funnel_step": pytest.approx(2.8 * 3600),
    }  # fmt: skip
    assert {name: by_cutoff[noon][name] for name in expected} == expected
    assert by_cutoff[early]["funnel_depth_since_purchase"] == 6


def test_the_last_seen_price_is_the_highest_at_the_last_moment_with_a_price(behaviour):
    prices = ((9, 30.0), (9.1, 20.0), (9.1, 25.0), (9.2, None))
    events = [event("ann", at(hour), "view", f"item {p}", price=p) for hour, p in prices]
    assert behaviour(events, NOON)[NOON]["last_seen_price"] == 25.0


def test_without_steps_the_funnel_depth_follows_from_the_event_type(behaviour):
    kinds = ("view", "cart", "checkout", "purchase")
    cutoffs = [("ann", at(9 + i + 0.5)) for i in range(len(kinds))]
    by_cutoff = behaviour(
        [event("ann", at(9 + i), kind, "mug") for i, kind in enumerate(kinds)], *cutoffs
    )
    assert [by_cutoff[cutoff]["funnel_depth"] for cutoff in cutoffs] == [0, 1, 2, 7]
    assert by_cutoff[cutoffs[0]]["events_since_funnel_step"] is None


def features(behaviour, *events: dict, names: tuple[str, ...]) -> list:
    """Return these features of Ann at noon."""
    row = behaviour(list(events), NOON)[NOON]
    return [row[name] for name in names]


def test_half_a_piece_counts_as_half_a_piece(behaviour):
    bought = event("ann", at(9, day=9), "purchase", "mug", price=10.0, quantity=0.5)
    added = event("ann", at(9), "cart", "mug", price=10.0, quantity=2.5)
    removed = event("ann", at(9.1), "uncart", "mug", price=10.0, quantity=2.0)
    names = ("order_value", "n_orders", "n_in_cart", "cart_value")
    assert features(behaviour, bought, added, removed, names=names) == [5.0, 1, 0.5, 5.0]


def test_pieces_that_were_all_removed_again_leave_an_empty_cart(behaviour):
    added = [event("ann", at(9 + q), "cart", "mug", price=1.0, quantity=q) for q in (0.1, 0.2)]
    removed = event("ann", at(10), "uncart", "mug", price=1.0, quantity=0.3)
    assert features(behaviour, *added, removed, names=("n_in_cart",)) == [0.0]


def test_orders_are_distinct_order_ids_in_any_order_of_their_purchases(behaviour):
    purchases = [
        event("ann", at(9 + n / 10), "purchase", item, price=1.0, order_id=order)
        for n, (item, order) in enumerate((("mug", "A"), ("tee", "B"), ("pen", "A")))
    ]
    assert features(behaviour, *purchases, names=("n_orders", "order_value")) == [2, 3.0]


def test_purchases_without_an_order_id_are_one_order_per_moment(behaviour):
    moments = ((9, "mug"), (9, "tee"), (10, "mug"))
    purchases = [event("ann", at(hour), "purchase", item, price=1.0) for hour, item in moments]
    assert features(behaviour, *purchases, names=("n_orders",)) == [2]


RETURNED = ("n_orders", "order_value", "n_purchase", "n_return")


@pytest.mark.parametrize(
    ("pieces", "order_id", "expected"),
    [
        (3.0, "A", [0, 0.0, 1, 1]),  # all of the order
        (1.0, "A", [1, 20.0, 1, 1]),  # a part of it
        (3.0, "C1", [1, 0.0, 1, 1]),  # the source gives the return a number of its own
        (3.0, None, [1, 0.0, 1, 1]),
    ],
)
def test_a_return_takes_back_its_value_and_an_order_if_it_names_it_and_all_its_pieces(
    behaviour, pieces, order_id, expected
):
    bought = event("ann", at(9), "purchase", "mug", price=10.0, quantity=3.0, order_id="A")
    returned = event("ann", at(10), "return", "mug", price=10.0, quantity=pieces, order_id=order_id)
    assert features(behaviour, bought, returned, names=RETURNED) == expected


def test_a_return_is_no_interest_and_no_step_to_an_order(behaviour):
    events = [
        event("ann", at(9), "view", "tee"),
        event("ann", at(10), "return", "mug", step="done"),
    ]
    row = behaviour(events, NOON)[NOON]
    assert [interest["name"] for interest in row["categories"]] == ["apparel"]
    assert {interest["name"] for interest in row["keywords"]} == {"blue", "tee"}
    assert (row["funnel_depth"], row["funnel_depth_last"], row["n_done_step"]) == (0, 0, 1)
    assert row["bought_price_level"] is None


def test_sharing_an_item_is_a_mild_interest(behaviour):
    (category,) = behaviour([event("ann", at(9), "share", "mug")], NOON)[NOON]["categories"]
    assert category == {"name": "drinkware", "weight": 2.0}


def test_events_of_one_second_are_in_the_order_of_their_sequence(behaviour):
    """Their ids have the opposite order."""
    kinds = ("view", "cart", "purchase", "cart", "view")
    items = ("mug", "mug", "mug", "tee", "pen")
    events = [
        event("ann", at(9), kind, item, price=float(n + 1), sequence=n, event_id=f"e{9 - n}")
        for n, (kind, item) in enumerate(zip(kinds, items, strict=True))
    ]
    row = behaviour(events, NOON)[NOON]
    assert [e["event_type"] for e in row["recent"]] == ["view", "cart", "purchase", "cart"]
    assert (row["n_in_cart"], row["cart_value"]) == (1.0, 4.0)  # that after the purchase
    assert (row["last_seen_price"], row["last_added_price"]) == (5.0, 4.0)
    assert (row["n_views_last_item"], row["is_last_item_added"]) == (1, False)  # of the pen


def test_events_of_one_second_without_a_sequence_come_first_and_none_is_after_the_other(behaviour):
    bought = event("ann", at(9), "purchase", "mug", price=1.0, event_id="a")
    added = event("ann", at(9), "cart", "tee", price=2.0, event_id="b")
    viewed = event("ann", at(9), "view", "pen", price=3.0, event_id="0", sequence=1)
    row = behaviour([bought, added, viewed], NOON)[NOON]
    assert [e["event_type"] for e in row["recent"]] == ["view", "cart", "purchase"]
    assert row["n_in_cart"] == 0.0


@pytest.mark.parametrize(
    ("own_zone", "hour", "weekday", "active_hour"),
    [
        (None, 19, 7, 17),  # the shop is in Shanghai, 8 hours ahead; Saturday
        ("America/Los_Angeles", 3, 7, 1),  # 8 hours behind
        ("Pacific/Auckland", 0, 1, 22),  # 13 hours ahead, already Sunday
    ],
)
def test_hours_and_days_are_those_of_the_users_zone_else_of_the_shops(
    spark, own_zone, hour, weekday, active_hour
):
    events = [event("ann", at(9), "page", time_zone=own_zone)]
    cutoff = ("ann", at(11))
    row = build(spark, events, cutoff, time_zone="Asia/Shanghai").first()
    assert (row["hour"], row["weekday"]) == (hour, weekday)
    assert row["active_hours"] == [int(number == active_hour) for number in range(24)]


def test_the_zone_of_a_cutoff_is_that_of_the_last_event_with_one_on_its_day(spark):
    events = [
        event("ann", at(9), "page", time_zone="Asia/Shanghai"),
        event("ann", at(10), "page", time_zone="Europe/Paris"),
        event("ann", at(11), "page"),
    ]
    cutoffs = [("ann", at(12)), ("ann", at(12) + timedelta(days=180))]
    rows = build(spark, events, *cutoffs).orderBy("cutoff_ts").collect()
    assert [row["hour"] for row in rows] == [13, 14]  # winter, then summer
    assert [n for n, count in enumerate(rows[0]["active_hours"]) if count] == [11, 17]


def test_interest_weights_halve_per_half_life_before_the_last_event(behaviour):
    events = [
        event("ann", at(9, day=8), "cart", "tee"),
        event("ann", at(9, day=9), "view", "mug"),
        event("ann", at(9), "view", "mug"),
    ]
    early, late = ("ann", at(12)), ("ann", at(12, day=20))
    by_cutoff = behaviour(events, early, late)
    for key in (early, late):
        assert by_cutoff[key]["categories"] == [
            {"name": "drinkware", "weight": pytest.approx(1.5)},
            {"name": "apparel", "weight": pytest.approx(1.0)},
        ]
        assert by_cutoff[key]["brands"] == [{"name": "acme", "weight": pytest.approx(2.5)}]


def test_keyword_weights_are_tf_idf_of_scikit_learn_rounded_to_a_quarter(behaviour):
    import numpy as np
    from sklearn.feature_extraction.text import TfidfTransformer

    events = [
        event("ann", at(9), "view", "mug"),
        event("ann", at(9), "search", query="the Mugs 和茶杯"),
    ]
    weights = {i["name"]: i["weight"] for i in behaviour(events, NOON)[NOON]["keywords"]}
    has_word = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])  # blue, mug, tee, pen
    blue, mug, *_ = TfidfTransformer(smooth_idf=True).fit(has_word).idf_
    unknown = np.log((1 + 3) / (1 + 0)) + 1
    mug, unknown, blue = (round(idf * 4) / 4 for idf in (mug, unknown, blue))
    expected = {"mug": 2 * mug, "茶杯": unknown, "blue": blue}
    assert weights == {name: pytest.approx(weight) for name, weight in expected.items()}


def test_a_keyword_is_named_as_the_catalog_has_it_most_often_else_as_first_searched(spark):
    catalog = [
        ("a", "Mugs", None, None, None, None, ["mug"], ["Mugs"]),
        ("b", "Mugs", None, None, None, None, ["mug"], ["Mugs"]),
        ("c", "mug", None, None, None, None, ["mug"], ["mug"]),
        ("d", "運動鞋", None, None, None, None, ["运动鞋"], ["運動鞋"]),
        ("e", "old", None, None, None, None, ["old"], None),  # of an earlier version
    ]
    events = [
        event("ann", at(9), "view", "c"),
        event("ann", at(9), "search", query="teapots 运动鞋 mug", event_id="1"),
        event("ann", at(9), "search", query="teapot", event_id="2"),
        event("ben", at(9), "view", "e"),
    ]
    built = build(spark, events, NOON, ("ben", at(12)), catalog=catalog).collect()
    keywords = {row.user_id: [tuple(interest) for interest in row.keywords] for row in built}
    # idf of no, one and three of five items: ln(6 / (1 + n)) + 1, rounded to a quarter
    assert keywords == {
        "ann": [("teapots", 2 * 2.75), ("Mugs", 2 * 1.5), ("運動鞋", 2.0)],
        "ben": [("old", 2.0)],
    }


def test_recent_events_are_newest_first_and_consecutive_equal_ones_count_once(
    behaviour, ann_at_noon
):
    recent = ann_at_noon["recent"]
    assert [(e["event_type"], e["item_id"], e["text"]) for e in recent] == [
        ("page", None, "basket"),
        ("uncart", "mug", None),
        ("cart", "mug", None),
        ("view", "mug", None),
    ]
    assert recent[1]["title"] == "blue mug"
    assert recent[1]["category"] == "drinkware"
    repeated = [event("ann", at(h), "view", "mug") for h in (9, 9.1, 9.2)]
    assert [e["event_ts"] for e in behaviour(repeated, NOON)[NOON]["recent"]] == [at(9.2)]


def test_events_that_happen_or_arrive_at_the_cutoff_are_not_known(behaviour, ann_at_noon):
    late = event("ann", at(11), "purchase", "tee", price=20.0) | {"ingest_ts": at(12)}
    future = event("ann", at(12), "purchase", "tee", price=20.0)
    assert behaviour([*ANN_EVENTS, late, future], NOON) == {NOON: ann_at_noon}


def test_an_event_that_arrives_later_does_not_join_two_sessions(behaviour):
    between = event("ann", at(9.4), "page") | {"ingest_ts": at(13)}
    events = [event("ann", at(9), "page"), between, event("ann", at(9.8), "page")]
    assert behaviour(events, NOON)[NOON]["n_sessions"] == 2
    after = ("ann", at(14))
    assert behaviour(events, after)[after]["n_sessions"] == 1


def test_a_user_without_events_before_the_cutoff_has_no_row(behaviour):
    events = [
        event("ann", at(9), "page"),
        event("ann", at(10), "page"),
        event("bob", at(15), "page"),
    ]
    by_cutoff = behaviour(events, ("ann", at(9.5)), ("ann", at(11)), ("bob", at(12)))
    assert {key: row["n_events"] for key, row in by_cutoff.items()} == {
        ("ann", at(9.5)): 1,
        ("ann", at(11)): 2,
    }
