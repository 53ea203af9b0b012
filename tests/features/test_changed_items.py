"""Whose behaviour a changed catalogue tells otherwise."""

import pytest

from profile_lib.features.changed_items import find_changed_keys, find_users_of_changed_items
from profile_lib.tables import ITEMS

MUG = ("mug", "blue mug", "drinkware", "acme", 10.0, 0.8, ["blue", "mug"])
TEE = ("tee", "red tee", "apparel", None, 20.0, 0.2, ["red", "tee"])
EVENTS = [
    ("ann", "mug", None), ("ben", "tee", None), ("cat", None, "blue mugs"),
    ("dan", None, "teapots"), ("eve", None, None), ("fay", "cup", None),
]  # fmt: skip


def test_rows_that_one_has_and_the_other_has_not_or_has_otherwise_are_told(rows):
    before = rows("k string, n int", ("same", 1), ("null", None), ("more", 1), ("gone", 1))
    now = rows("k string, n int", ("same", 1), ("null", None), ("more", 2), ("new", None))
    found = sorted(r[0] for r in find_changed_keys(before, now, "k").collect())
    assert found == ["gone", "more", "new"]


@pytest.mark.parametrize(
    ("now", "touched"),
    [
        ([(*MUG[:4], 99.0, *MUG[5:]), TEE], []),  # the price itself is read of events
        ([(*MUG[:1], "mug, blue", *MUG[2:]), TEE], ["ann"]),
        ([MUG, (*TEE[:5], None, *TEE[6:])], ["ben"]),
        # a second item with blue: it weighs less, in the mug and in a query
        ([MUG, TEE, ("cup", "blue cup", "drinkware", None, 1.0, 0.0, ["blue"])],
         ["ann", "ben", "cat", "dan", "fay"]),
    ],
    ids=["a price", "a title", "a level", "a new item"],
)  # fmt: skip
def test_users_who_met_a_changed_item_or_asked_for_a_word_that_weighs_otherwise(
    rows, spark, now, touched
):
    events = rows("user_id string, item_id string, query string", *EVENTS)
    before, now = (spark.createDataFrame(c, ITEMS.schema) for c in ([MUG, TEE], now))
    found = find_users_of_changed_items(events, before, now).distinct().collect()
    assert sorted(r[0] for r in found) == touched
