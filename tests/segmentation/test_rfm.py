"""Everyone has one name by recency and frequency, and the scores are fifths of who ordered."""

from datetime import datetime, timedelta

from profile_lib.segmentation.rfm import RFM_SEGMENT_GRID, find_quintile_cuts, score_rfm

AS_OF = datetime(2026, 3, 1)
PROFILES = "user_id string, last_event_ts timestamp, n_orders long, order_value double"


def user(name: str, days: float, n_orders: int, value: float) -> tuple[object, ...]:
    return name, AS_OF - timedelta(days=days), n_orders, value


def scored(rows, *users):
    profiles = rows(PROFILES, *users)
    found = score_rfm(profiles, find_quintile_cuts(profiles, AS_OF), AS_OF)
    return {r[0]: tuple(r)[1:] for r in found.collect()}


def test_scores_are_fifths_of_the_users_who_ordered(rows):
    users = [user(f"u{n}", days=n, n_orders=6 - n, value=10.0 * n) for n in range(1, 6)]
    assert scored(rows, *users, user("looks", 0.5, 0, 0.0)) == {
        "u1": (1.0, 5, 5, 1, "Champions"),
        "u2": (2.0, 4, 4, 2, "Loyal Customers"),
        "u3": (3.0, 3, 3, 3, "Need Attention"),
        "u4": (4.0, 2, 2, 4, "Hibernating"),
        "u5": (5.0, 1, 1, 5, "Lost"),
        "looks": (0.5, None, None, None, "Prospects"),
    }


def test_where_most_ordered_once_a_second_order_makes_one_of_the_best(rows):
    once = [user(f"u{n}", days=n, n_orders=1, value=5.0) for n in range(1, 10)]
    found = scored(rows, *once, user("twice", 4.5, 2, 50.0))
    assert found["u1"] == (1.0, 5, 1, 1, "New Customers")
    assert found["u9"] == (9.0, 1, 1, 1, "Lost")
    assert found["twice"] == (4.5, 3, 5, 5, "Loyal Customers")


def test_a_buyer_alone_is_a_new_customer(rows):
    assert scored(rows, user("ann", 3, 1, 5.0)) == {"ann": (3.0, 5, 1, 1, "New Customers")}


def test_without_an_order_all_are_prospects(rows):
    assert scored(rows, user("ann", 3, 0, 0.0)) == {"ann": (3.0, None, None, None, "Prospects")}


def test_every_cell_of_recency_and_frequency_has_a_name():
    assert [len(row) for row in RFM_SEGMENT_GRID] == [5] * 5
    assert len({name for row in RFM_SEGMENT_GRID for name in row}) == 11
