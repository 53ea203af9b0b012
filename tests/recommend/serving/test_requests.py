"""Users as a recommender is asked for them."""

import numpy as np
import pyarrow as pa

from profile_lib.recommend.candidates.source import MISSING
from profile_lib.recommend.serving.requests import (
    COUNT_MAP,
    ProfileReader,
    QueryTexts,
    most_frequent_keys,
)
from tests.recommend.asked import at, profiles, recent_event

READER = ProfileReader(
    items=pa.array(["hat", "shoe"]),
    weights={"view": 1.0, "purchase": 4.0},
    contexts={"region": ["North", "South"], "channel": ["app"]},
    model_version="m-1",
    interest_size=2,
    texts=QueryTexts(
        pa.array(["red", "blue"]), np.array([[1.0], [2.0]]), ("search", "page"), max_gap_seconds=5
    ),
)


def test_of_a_profile_its_steps_oldest_first():
    recent = [recent_event(9, "page"), recent_event(8, "purchase", "hat"), recent_event(7, "view", "hat"),
              recent_event(6, "view", "sock"), recent_event(5, "view", "shoe"), recent_event(4, "search", "hat"),
              recent_event(3, "view", "hat")]  # fmt: skip
    asked = READER.read_requests(profiles({"recent": recent}, {"as_of_ts": at(11)}))
    steps = asked.histories
    assert (steps.n_users, steps.user.tolist()) == (2, [0, 0, 0])
    assert steps.items.tolist() == [0, 1, 0]  # hat, shoe, hat: a sock isn't known
    assert steps.weights.tolist() == [1, 1, 4]
    assert steps.seconds.tolist() == [3, 5, 8]
    assert steps.is_bought.tolist() == [False, False, True]
    assert asked.now.tolist() == [10, 11]


def test_of_a_profile_its_numbers_and_the_places_seen_most():
    ann = {"n_sessions": 2, "n_orders": 1, "order_value": 9, "purchasing_power": 0.5}
    seen = {"regions": [("South", 3), ("North", 2)], "channels": [("web", 1)]}
    asked = READER.read_requests(profiles(ann | seen, {}))
    nan = np.nan
    np.testing.assert_array_equal(asked.profile_numbers, [[2, 1, 9, nan, 0.5, nan], [nan] * 6])
    assert asked.contexts.tolist() == [[1, MISSING], [MISSING, MISSING]]


def test_interest_vectors_of_another_model_or_size_are_unknown():
    rows = ({}, {"model_version": "m-0"}, {"interest_vector": []}, {"interest_vector": [1.0]})
    found = READER.read_requests(profiles(*rows)).interest_vectors
    np.testing.assert_array_equal(found, [[0.5, 1], *[[np.nan] * 2] * 3])


def test_the_last_search_or_listing_is_what_items_are_shown_under():
    red, blue = recent_event(4, "search", text="red"), recent_event(3, "page", text="blue")
    rows = [
        [recent_event(9, "view", "hat"), red, blue],  # the newer of two
        [recent_event(9, "view", "hat"), blue],  # six seconds ago: something else has begun
        [recent_event(5, "search", text="green"), red],  # never seen before, so unknown
        [
            recent_event(5, "review", text="red"),
            recent_event(5, "page"),
            blue,
        ],  # no search, nor a listing's text
        [],
    ]
    found = READER.read_requests(profiles(*({"recent": recent} for recent in rows))).query_vectors
    np.testing.assert_array_equal(found.ravel(), [1, np.nan, np.nan, 2, np.nan])


def test_a_part_of_a_batch_is_read_as_the_batch_is():
    rows = [
        {
            "recent": [recent_event(n, "view", "hat"), recent_event(n, "search", text="red")],
            "regions": [("North", n)],
            "interest_vector": [n, 0.0],
        }
        for n in range(1, 4)
    ]
    whole, part = (
        READER.read_requests(profiles(*rows)),
        READER.read_requests(profiles(*rows).slice(1)),
    )
    for name in ("interest_vectors", "query_vectors", "contexts", "now", "profile_numbers"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[1:])
    assert part.histories.seconds.tolist() == [2, 3]


def test_of_equal_counts_the_last_by_name_is_the_most_frequent():
    counts = pa.array([[("a", 1), ("c", 2), ("b", 2)], [], None, [("d", 1)]], COUNT_MAP)
    assert most_frequent_keys(counts).to_pylist() == ["c", None, None, "d"]
