"""Test how profiles are read as requests."""

import numpy as np
import pyarrow as pa

from profile_lib.recommend.data.arrow_columns import MISSING, most_frequent_keys
from profile_lib.recommend.data.profile_columns import COUNT_MAP
from profile_lib.recommend.data.profile_reader import ProfileReader, QueryTexts
from tests.recommend.request_rows import moment, profile_batch, recent_event

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


def test_recent_events_become_steps_oldest_first():
    recent = [
        recent_event(9, "page"),
        recent_event(8, "purchase", "hat"),
        recent_event(7, "view", "hat"),
        recent_event(6, "view", "sock"),  # not in the catalog
        recent_event(5, "view", "shoe"),
        recent_event(4, "search", "hat"),  # without a weight
        recent_event(3, "view", "hat"),
    ]
    requests = READER.read_requests(profile_batch({"recent": recent}, {"as_of_ts": moment(11)}))
    steps = requests.histories
    assert (steps.n_users, steps.user.tolist()) == (2, [0, 0, 0])
    assert steps.items.tolist() == [0, 1, 0]
    assert steps.weights.tolist() == [1, 1, 4]
    assert steps.seconds.tolist() == [3, 5, 8]
    assert steps.is_bought.tolist() == [False, False, True]
    assert requests.now.tolist() == [10, 11]


def test_numbers_and_the_most_frequent_context_values_are_read():
    numbers = {"n_sessions": 2, "n_orders": 1, "order_value": 9, "purchasing_power": 0.5}
    contexts = {"regions": [("South", 3), ("North", 2)], "channels": [("web", 1)]}
    requests = READER.read_requests(profile_batch(numbers | contexts, {}))
    nan = np.nan
    np.testing.assert_array_equal(requests.profile_numbers, [[2, 1, 9, nan, 0.5, nan], [nan] * 6])
    assert requests.contexts.tolist() == [[1, MISSING], [MISSING, MISSING]]


def test_an_interest_vector_of_another_model_or_size_is_unknown():
    rows = ({}, {"model_version": "m-0"}, {"interest_vector": []}, {"interest_vector": [1.0]})
    vectors = READER.read_requests(profile_batch(*rows)).interest_vectors
    np.testing.assert_array_equal(vectors, [[0.5, 1], *[[np.nan] * 2] * 3])


def test_the_query_is_the_newest_search_or_page_text_shortly_before_the_newest_event():
    view_at_9 = recent_event(9, "view", "hat")
    red, blue = recent_event(4, "search", text="red"), recent_event(3, "page", text="blue")
    newest_of_two = [view_at_9, red, blue]
    six_seconds_old = [view_at_9, blue]
    unknown_text = [recent_event(5, "search", text="green"), red]
    other_events_between = [recent_event(5, "review", text="red"), recent_event(5, "page"), blue]
    recents = [newest_of_two, six_seconds_old, unknown_text, other_events_between, []]
    requests = READER.read_requests(profile_batch(*({"recent": recent} for recent in recents)))
    np.testing.assert_array_equal(requests.query_vectors.ravel(), [1, np.nan, np.nan, 2, np.nan])


def test_a_slice_of_a_batch_is_read_like_the_same_rows_of_the_batch():
    rows = [
        {
            "recent": [recent_event(n, "view", "hat"), recent_event(n, "search", text="red")],
            "regions": [("North", n)],
            "interest_vector": [n, 0.0],
        }
        for n in range(1, 4)
    ]
    batch = READER.read_requests(profile_batch(*rows))
    part = READER.read_requests(profile_batch(*rows).slice(1))
    for name in ("interest_vectors", "query_vectors", "contexts", "now", "profile_numbers"):
        np.testing.assert_array_equal(getattr(part, name), getattr(batch, name)[1:])
    assert part.histories.seconds.tolist() == [2, 3]


def test_the_last_of_equally_frequent_keys_is_taken_as_the_most_frequent():
    counts = pa.array([[("a", 1), ("c", 2), ("b", 2)], [], None, [("d", 1)]], COUNT_MAP)
    assert most_frequent_keys(counts).to_pylist() == ["c", None, None, "d"]
