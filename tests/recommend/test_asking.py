"""Users as a recommender is asked for them."""

from datetime import datetime

import numpy as np
import pyarrow as pa

from profile_lib.recommend.asking import NUMBERS, READ, Reader, most_frequent, to_ask
from profile_lib.recommend.sources import NOTHING

READER = Reader(
    items=pa.array(["hat", "shoe"]),
    weights={"view": 1.0, "purchase": 4.0},
    contexts=[["North", "South"], ["app"]],
    interest=2,
    joining=1,
)
RECENT = "array<struct<event_ts timestamp, event_type string, item_id string, title string>>"
COLUMNS = (
    f"user_id string, recent {RECENT}, interest_vector array<float>, joining array<float>, "
    "now_ts timestamp, regions map<string,long>, channel string, "
    + ", ".join(f"{name} double" for name in NUMBERS)
)


def at(second):
    return datetime.fromtimestamp(second)


def test_of_a_profile_its_steps_numbers_and_places(spark):
    events = [(9, "page", None), (8, "purchase", "hat"), (7, "view", "hat"), (6, "view", "sock"),
              (5, "view", "shoe"), (4, "search", "hat"), (3, "view", "hat")]  # fmt: skip
    recent = [(at(second), kind, item, "a title") for second, kind, item in events]
    rows = [
        ("ann", recent, [0.5, 1.0], [2.0], at(10), {"South": 3, "North": 2}, "web",
         2.0, 1.0, 9.0, None, 0.5, None),
        ("bob", [], [], None, at(11), {}, None, *[None] * 6),
    ]  # fmt: skip
    told = spark.createDataFrame(rows, COLUMNS).withColumn("region", most_frequent("regions"))
    (batch,) = (
        to_ask(told, ["user_id"], ["region", "channel"]).coalesce(1).toArrow().combine_chunks()
    ).to_batches()
    assert batch.schema.names == ["user_id", *READ]
    asked = READER.asked(batch)
    steps = asked.histories
    assert (steps.n, steps.of.tolist()) == (2, [0, 0, 0])
    assert steps.items.tolist() == [0, 1, 0]  # hat, shoe, hat: a sock isn't known
    assert steps.weights.tolist() == [1, 1, 4]
    assert steps.seconds.tolist() == [3, 5, 8]
    assert steps.is_bought.tolist() == [False, False, True]
    np.testing.assert_array_equal(asked.vectors, [[0.5, 1], [np.nan] * 2])
    np.testing.assert_array_equal(asked.joining, [[2], [np.nan]])
    nan = np.nan
    np.testing.assert_array_equal(asked.numbers, [[2, 1, 9, nan, 0.5, nan], [nan] * 6])
    assert asked.contexts.tolist() == [[1, NOTHING], [NOTHING, NOTHING]]
    assert asked.now.tolist() == [10, 11]
