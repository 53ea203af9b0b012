"""Check RFM scores, which are quintiles of the buyers, and the names of segments."""

from datetime import datetime, timedelta

from profile_lib.segmentation.rfm import RFM_SEGMENT_GRID, find_quintile_cuts, score_rfm

AS_OF = datetime(2026, 3, 1)
PROFILES = "user_id string, last_event_ts timestamp, n_orders long, order_value double"


def user(name: str, days: float, n_orders: int, value: float) -> tuple[object, ...]:
    return name, AS_OF - timedelta(days=days), n_orders, value


def scored(rows, *users):
    profiles = rows(PROFILES, *users)
    scores = score_rfm(profiles, find_quintile_cuts(profiles, AS_OF), AS_OF)
    return {r[0]: tuple(r)[1:] for r in scores.collect()}


def test_scores_are_quintiles_of_the_users_with_an_order(rows):
    users = [user(f"u{n}", days=n, n_orders=6 - n, value=10.0 * n) for n in range(1, 6)]
    assert scored(rows, *users, user("visitor", 0.5, 0, 0.0)) == {
        "u1": (1.0, 5, 5, 1, "Champions"),
        "u2": (2.0, 4, 4, 2, "Loyal Customers"),
        "u3": (3.0, 3, 3, 3, "Need Attention"),
        "u4": (4.0, 2, 2, 4, "Hibernating"),
        "u5": (5.0, 1, 1, 5, "Lost"),
        "visitor": (0.5, None, None, None, "Prospects"),
    }


def test_a_second_order_gives_the_highest_frequency_score_if_most_ordered_once(rows):
    once = [user(f"u{n}", days=n, n_orders=1, value=5.0) for n in range(1, 10)]
    segments = scored(rows, *once, user("twice", 4.5, 2, 50.0))
    assert segments["u1"] == (1.0, 5, 1, 1, "New Customers")
    assert segments["u9"] == (9.0, 1, 1, 1, "Lost")
    assert segments["twice"] == (4.5, 3, 5, 5, "Loyal Customers")


def test_a_single_buyer_is_a_new_customer(rows):
    assert scored(rows, user("ann", 3, 1, 5.0)) == {"ann": (3.0, 5, 1, 1, "New Customers")}


def test_users_are_prospects_if_no_one_has_ordered(rows):
    assert scored(rows, user("ann", 3, 0, 0.0)) == {"ann": (3.0, None, None, None, "Prospects")}


def test_every_pair_of_recency_and_frequency_scores_has_a_name():
    assert [len(row) for row in RFM_SEGMENT_GRID] == [5] * 5
    assert len({name for row in RFM_SEGMENT_GRID for name in row}) == 11
