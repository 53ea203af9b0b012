"""What was known of a user at a cutoff, of histories whose every number is known."""

from datetime import datetime, timedelta

import pytest

from profile_lib.features.as_of import join_events_as_of
from profile_lib.features.behaviour import build_behaviour
from profile_lib.tables import BEHAVIOUR, EVENTS, ITEMS

WEIGHTS = {"view": 1, "cart": 4, "purchase": 6, "search": 1, "page": 0}
DAY = timedelta(days=1)
CATALOG = (
    ("mug", "blue mug", "drinkware", "acme", 10.0, 0.8, ["blue", "mug"]),
    ("tee", "blue tee", "apparel", "acme", 20.0, 0.2, ["blue", "tee"]),
    ("pen", "pen", "office", None, 1.0, None, ["pen"]),
)


def at(hour: float, day: int = 10) -> datetime:
    return datetime(2026, 1, day) + timedelta(hours=hour)


def event(user: str, ts: datetime, kind: str, item: str | None = None, **more: object) -> dict:
    identity = {"event_id": f"{user}{ts.isoformat()}{kind}{item}", "user_id": user}
    when = {"event_ts": ts, "event_date": ts.date(), "ingest_ts": ts}
    return identity | when | {"event_type": kind, "item_id": item, "source": "s"} | more


@pytest.fixture(scope="module")
def behaviour(spark):
    """Behaviour of events at cutoffs, as dictionaries by user and cutoff."""

    def build(events: list[dict], *cutoffs: tuple[str, datetime]) -> dict:
        known = join_events_as_of(
            spark.createDataFrame(
                [tuple(e.get(n) for n in EVENTS.column_names()) for e in events], EVENTS.schema
            ),
            spark.createDataFrame(list(cutoffs), "user_id string, cutoff_ts timestamp"),
        )
        frame = build_behaviour(
            known,
            spark.createDataFrame(list(CATALOG), ITEMS.schema),
            gap=timedelta(minutes=30), half_life=DAY, weights=WEIGHTS,
            max_interests=3, max_recent=4,
        )  # fmt: skip
        found = BEHAVIOUR.conform(frame).collect()
        return {(r.user_id, r.cutoff_ts): r.asDict(recursive=True) for r in found}

    return build


ANN_EVENTS = [
    event("ann", at(9, day=2), "view", "tee", price=20.0, channel="mail", device="mobile"),
    event("ann", at(9, day=9), "view", "mug", price=10.0, dwell_seconds=5.0, channel="web"),
    event("ann", at(9.1, day=9), "purchase", "mug", price=10.0, quantity=2, order_id="1"),
    event("ann", at(9.1, day=9), "purchase", "pen", price=1.0, order_id="1"),
    event("ann", at(9), "search", query="blue mug", channel="web"),
    event("ann", at(9.1), "view", "mug", price=10.0, dwell_seconds=7.0, channel="web"),
    event("ann", at(9.2), "cart", "mug", price=10.0, quantity=3, channel="web"),
    event("ann", at(9.25), "uncart", "mug", price=10.0, quantity=1, channel="web"),
    event("ann", at(9.3), "page", text="basket", channel="web", region="paris", system="linux",
          browser="firefox"),
]  # fmt: skip
NOON = ("ann", at(12))


@pytest.fixture(scope="module")
def ann_at_noon(behaviour) -> dict:
    """What was known of Ann at noon."""
    return behaviour(ANN_EVENTS, NOON)[NOON]


def test_every_number_of_a_known_history(ann_at_noon):
    expected = {
        "last_event_ts": at(9.3),
        "n_events": 9, "n_sessions": 3, "n_orders": 1, "order_value": 21.0,
        "n_view": 3, "n_view_session": 1, "n_view_1d": 1, "n_view_7d": 2, "n_view_30d": 3,
        "n_purchase": 2, "n_purchase_session": 0, "n_purchase_1d": 0, "n_purchase_7d": 2,
        "n_search_session": 1, "n_cart_session": 1, "n_page_session": 1, "n_review": 0,
        "n_items": 3, "n_items_session": 1, "n_categories_session": 1,
        "max_views_per_item": 2, "n_in_cart": 2, "cart_value": 20.0,
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


def test_how_near_an_order_the_user_came_is_counted_by_page_and_by_depth(behaviour):
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
    found = behaviour(events, noon, early)
    expected = {
        "n_home_step": 3, "n_home_step_session": 1, "n_basket_step": 1, "n_basket_step_session": 1,
        "n_done_step": 1, "n_done_step_session": 0, "n_payment_step": 0,
        "seconds_since_home_step": pytest.approx(2.6 * 3600),
        "seconds_since_payment_step": None,
        "funnel_depth": 7, "funnel_depth_session": 3, "funnel_depth_since_purchase": 3, "funnel_depth_last": 2,
        "events_since_funnel_step": 2, "seconds_since_funnel_step": pytest.approx(2.8 * 3600),
    }  # fmt: skip
    assert {name: found[noon][name] for name in expected} == expected
    assert found[early]["funnel_depth_since_purchase"] == 6


def test_of_prices_at_the_last_moment_the_highest_is_the_last_seen(behaviour):
    prices = ((9, 30.0), (9.1, 20.0), (9.1, 25.0), (9.2, None))
    events = [event("ann", at(hour), "view", f"item {p}", price=p) for hour, p in prices]
    assert behaviour(events, NOON)[NOON]["last_seen_price"] == 25.0


def test_events_of_a_shop_that_tells_no_page_show_how_near_an_order_one_is_by_their_kind(behaviour):
    kinds = ("view", "cart", "checkout", "purchase")
    cutoffs = [("ann", at(9 + i + 0.5)) for i in range(len(kinds))]
    found = behaviour(
        [event("ann", at(9 + i), kind, "mug") for i, kind in enumerate(kinds)], *cutoffs
    )
    assert [found[cutoff]["funnel_depth"] for cutoff in cutoffs] == [0, 1, 2, 7]
    assert found[cutoffs[0]]["events_since_funnel_step"] is None


def test_interests_decay_by_half_a_half_life_and_are_as_of_the_last_event(behaviour):
    events = [
        event("ann", at(9, day=8), "cart", "tee"),
        event("ann", at(9, day=9), "view", "mug"),
        event("ann", at(9), "view", "mug"),
    ]
    early, late = ("ann", at(12)), ("ann", at(12, day=20))
    found = behaviour(events, early, late)
    for key in (early, late):
        assert found[key]["categories"] == [
            {"name": "drinkware", "weight": pytest.approx(1.5)},
            {"name": "apparel", "weight": pytest.approx(1.0)},
        ]
        assert found[key]["brands"] == [{"name": "acme", "weight": pytest.approx(2.5)}]


def test_words_of_items_and_queries_weigh_by_tf_idf_as_scikit_learn_has_it_to_a_quarter(behaviour):
    import numpy as np
    from sklearn.feature_extraction.text import TfidfTransformer

    events = [
        event("ann", at(9), "view", "mug"),
        event("ann", at(9), "search", query="the Mugs 和茶杯"),
    ]
    found = {i["name"]: i["weight"] for i in behaviour(events, NOON)[NOON]["keywords"]}
    holders = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])  # blue, mug, tee, pen
    blue, mug, *_ = TfidfTransformer(smooth_idf=True).fit(holders).idf_
    unseen = np.log((1 + 3) / (1 + 0)) + 1
    mug, unseen, blue = (round(idf * 4) / 4 for idf in (mug, unseen, blue))
    expected = {"mug": 2 * mug, "茶杯": unseen, "blue": blue}
    assert found == {name: pytest.approx(weight) for name, weight in expected.items()}


def test_recent_events_stand_newest_first_alike_ones_in_a_row_once(behaviour, ann_at_noon):
    found = ann_at_noon["recent"]
    assert [(e["event_type"], e["item_id"], e["text"]) for e in found] == [
        ("page", None, "basket"),
        ("uncart", "mug", None),
        ("cart", "mug", None),
        ("view", "mug", None),
    ]
    assert found[1]["title"] == "blue mug"
    assert found[1]["category"] == "drinkware"
    repeated = [event("ann", at(h), "view", "mug") for h in (9, 9.1, 9.2)]
    assert [e["event_ts"] for e in behaviour(repeated, NOON)[NOON]["recent"]] == [at(9.2)]


def test_what_happens_or_arrives_at_or_after_the_cutoff_is_not_known(behaviour, ann_at_noon):
    late = event("ann", at(11), "purchase", "tee", price=20.0) | {"ingest_ts": at(12)}
    future = event("ann", at(12), "purchase", "tee", price=20.0)
    assert behaviour([*ANN_EVENTS, late, future], NOON) == {NOON: ann_at_noon}


def test_an_event_that_is_not_known_yet_bridges_no_gap(behaviour):
    bridge = event("ann", at(9.4), "page") | {"ingest_ts": at(13)}
    events = [event("ann", at(9), "page"), bridge, event("ann", at(9.8), "page")]
    assert behaviour(events, NOON)[NOON]["n_sessions"] == 2
    after = ("ann", at(14))
    assert behaviour(events, after)[after]["n_sessions"] == 1


def test_a_user_without_a_past_has_no_row_and_cutoffs_of_one_user_are_apart(behaviour):
    events = [
        event("ann", at(9), "page"),
        event("ann", at(10), "page"),
        event("bob", at(15), "page"),
    ]
    found = behaviour(events, ("ann", at(9.5)), ("ann", at(11)), ("bob", at(12)))
    assert {key: row["n_events"] for key, row in found.items()} == {
        ("ann", at(9.5)): 1,
        ("ann", at(11)): 2,
    }
