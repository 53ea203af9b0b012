"""Test how events become a user's history of steps."""

from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.testing import assertDataFrameEqual

from profile_lib.recommend.data.histories import (
    STEPS,
    Histories,
    build_histories,
    count_users_per_item,
    number_items,
)
from tests.recommend.walks import walk_frame

WEIGHTS = {"view": 1.0, "cart": 4.0, "purchase": 6.0}
EVENTS = (
    "user_id string, item_id string, event_type string, event_ts timestamp, sequence long, "
    "event_id string"
)
ITEM_IDS = "item_id string"


def minute(number: int) -> datetime:
    return datetime(2026, 1, 1, 0, number)


def events(rows, *values: tuple):
    """Make events, without a sequence and with ids in their order unless given."""
    complete = [(*value, None, f"e{n:02}")[:6] for n, value in enumerate(values)]
    return rows(EVENTS, *complete)


def test_items_are_numbered_in_the_order_of_their_ids(rows):
    expected = rows("item_id string, item int", ("a", 0), ("b", 1))
    assertDataFrameEqual(number_items(rows(ITEM_IDS, ("b",), ("a",), ("b",))), expected)


def test_consecutive_events_on_an_item_are_one_step_with_the_greatest_weight_and_last_time(rows):
    log = events(
        rows,
        ("ann", "b", "view", minute(3)),
        ("ann", "a", "cart", minute(1)),
        ("ann", "a", "view", minute(2)),
        ("ann", "a", "purchase", minute(4)),
        ("ann", "b", "return", minute(5)),
        ("bob", "b", "view", minute(5)),
        ("bob", None, "search", minute(6)),
        ("bob", "unknown", "view", minute(7)),
    )
    items = number_items(rows(ITEM_IDS, ("b",), ("a",)))
    second = [int(minute(number).timestamp()) for number in range(8)]
    expected = rows(
        f"user_id string, {STEPS}",
        ("ann", [0, 1, 0], [4.0, 1.0, 6.0], second[2:5], [False, False, True]),
        ("bob", [1], [1.0], [second[5]], [False]),
    )
    assertDataFrameEqual(build_histories(log, items, WEIGHTS, 10), expected)


def test_the_last_steps_are_kept(rows):
    views = [("ann", item, "view", minute(number)) for number, item in enumerate("abcab")]
    items = number_items(rows(ITEM_IDS, ("a",), ("b",), ("c",)))
    histories = build_histories(events(rows, *views), items, WEIGHTS, 3)
    assertDataFrameEqual(histories.select("items"), rows("items array<int>", ([2, 0, 1],)))


def test_steps_of_one_second_are_in_the_order_of_sequence_and_then_of_event_id(rows):
    log = events(
        rows,
        ("ann", "a", "view", minute(1), 2, "x"),
        ("ann", "b", "purchase", minute(1), 1, "y"),
        ("ann", "c", "view", minute(1), None, "z"),
        ("ann", "b", "view", minute(1), None, "w"),
    )
    items = number_items(rows(ITEM_IDS, ("a",), ("b",), ("c",)))
    (row,) = build_histories(log, items, WEIGHTS, 9).collect()
    assert row["items"] == [1, 2, 1, 0]
    assert row["is_bought"] == [False, False, True, False]


def test_a_user_counts_once_per_item(spark):
    expected = spark.createDataFrame([(0, 2), (1, 1)], "item int, n_users long")
    assertDataFrameEqual(count_users_per_item(walk_frame(spark, [(0, 1, 0), (0,)])), expected)


def test_steps_are_numbered_back_from_the_newest_and_weights_decay_with_their_age():
    batch = pa.RecordBatch.from_pydict(
        {
            "user_id": ["ann", "bob", "eve"],
            "items": pa.array([[2, 0, 2], [], [1]], pa.list_(pa.int32())),
            "weights": pa.array([[1, 2, 4], [], [1]], pa.list_(pa.float32())),
            "seconds": pa.array([[1, 2, 3], [], [9]], pa.list_(pa.int64())),
            "is_bought": pa.array([[False, True, False], [], [False]], pa.list_(pa.bool_())),
        }
    )
    histories = Histories.from_batch(batch)
    assert histories.steps_ago.tolist() == [2, 1, 0, 0]
    assert histories.decayed_weights(0.5).tolist() == [0.25, 1, 4, 1]
    expected = [[2, 0, 5], [0, 0, 0], [0, 1, 0]]
    assert histories.matrix(histories.weights, 3).toarray().tolist() == expected
    assert np.array_equal(histories.is_bought, [False, True, False, False])
