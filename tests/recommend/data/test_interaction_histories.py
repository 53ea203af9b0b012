"""A user's history is what was done with items, step by step, the last ones kept."""

from datetime import datetime

import numpy as np
import pyarrow as pa

from profile_lib.recommend.data.histories import Histories, build_histories, number_items

WEIGHTS = {"view": 1.0, "cart": 4.0, "purchase": 6.0}
EVENTS = "user_id string, item_id string, event_type string, event_ts timestamp"


def at(minute: int) -> datetime:
    return datetime(2026, 1, 1, 0, minute)


def test_acts_on_one_item_in_a_row_are_one_step_at_the_last_moment(rows):
    events = rows(
        EVENTS,
        ("ann", "b", "view", at(3)),
        ("ann", "a", "cart", at(1)),
        ("ann", "a", "view", at(2)),
        ("ann", "a", "purchase", at(4)),
        ("bob", "b", "view", at(5)),
        ("bob", None, "search", at(6)),
        ("bob", "unknown", "view", at(7)),
    )
    items = number_items(rows("item_id string", ("b",), ("a",)))
    assert {(r.item_id, r.item) for r in items.collect()} == {("a", 0), ("b", 1)}
    found = build_histories(events, items, WEIGHTS, 10).orderBy("user_id").collect()
    seconds = [int(at(m).timestamp()) for m in range(8)]
    assert [tuple(r) for r in found] == [
        ("ann", [0, 1, 0], [4.0, 1.0, 6.0], [seconds[m] for m in (2, 3, 4)], [False, False, True]),
        ("bob", [1], [1.0], [seconds[5]], [False]),
    ]


def test_the_last_steps_are_kept(rows):
    met = [("ann", item, "view", at(minute)) for minute, item in enumerate("abcab")]
    items = number_items(rows("item_id string", ("a",), ("b",), ("c",)))
    (found,) = build_histories(rows(EVENTS, *met), items, WEIGHTS, 3).collect()
    assert found["items"] == [2, 0, 1]


def test_histories_side_by_side_know_their_order():
    batch = pa.RecordBatch.from_pydict(
        {
            "user_id": ["ann", "bob", "eve"],
            "items": pa.array([[2, 0, 2], [], [1]], pa.list_(pa.int32())),
            "weights": pa.array([[1, 2, 4], [], [1]], pa.list_(pa.float32())),
            "seconds": pa.array([[1, 2, 3], [], [9]], pa.list_(pa.int64())),
            "is_bought": pa.array([[False, True, False], [], [False]], pa.list_(pa.bool_())),
        }
    )
    of_all = Histories.from_batch(batch)
    assert of_all.steps_ago.tolist() == [2, 1, 0, 0]
    assert of_all.matrix(of_all.weights, 3).toarray().tolist() == [[2, 0, 5], [0, 0, 0], [0, 1, 0]]
    assert np.array_equal(of_all.is_bought, [False, True, False, False])
