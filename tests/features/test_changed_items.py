"""Check which users a change of the catalog affects."""

import pytest
from pyspark.sql import DataFrame

from profile_lib.features.changed_items import find_changed_keys, find_users_of_changed_items
from profile_lib.tables import ITEMS

MUG = ("mug", "blue mug", "drinkware", "acme", 10.0, 0.8, ["blue", "mug"], ["blue", "mug"])
TEE = ("tee", "red tee", "apparel", None, 20.0, 0.2, ["red", "tee"], ["red", "tee"])
EVENTS = [
    ("ann", "mug", None), ("ben", "tee", None), ("cat", None, "blue mugs"),
    ("dan", None, "teapots"), ("eve", None, None), ("fay", "cup", None),
]  # fmt: skip


def test_keys_of_added_removed_and_different_rows_are_found(rows):
    before = rows("k string, n int", ("same", 1), ("null", None), ("more", 1), ("gone", 1))
    now = rows("k string, n int", ("same", 1), ("null", None), ("more", 2), ("new", None))
    changed = sorted(row[0] for row in find_changed_keys(before, now, "k").collect())
    assert changed == ["gone", "more", "new"]


@pytest.mark.parametrize(
    ("now", "affected"),
    [
        ([(*MUG[:4], 99.0, *MUG[5:]), TEE], []),  # behaviour takes prices from events
        ([(*MUG[:1], "mug, blue", *MUG[2:]), TEE], ["ann"]),
        ([MUG, (*TEE[:5], None, *TEE[6:])], ["ben"]),
        # with a second blue item the word has less weight, in the mug and in a query
        ([MUG, TEE, ("cup", "blue cup", "drinkware", None, 1.0, 0.0, ["blue"], ["blue"])],
         ["ann", "ben", "cat", "dan", "fay"]),
    ],
    ids=["a price", "a title", "a level", "a new item"],
)  # fmt: skip
def test_users_of_a_changed_item_or_of_a_query_word_with_another_weight_are_affected(
    rows, spark, now, affected
):
    events = rows("user_id string, item_id string, query string", *EVENTS)
    before, now = (spark.createDataFrame(c, ITEMS.schema) for c in ([MUG, TEE], now))
    users = find_users_of_changed_items(events, before, now).distinct().collect()
    assert sorted(r[0] for r in users) == affected


def test_users_of_a_word_with_another_commonest_form_are_affected(rows, spark):
    def catalog(*titles: str) -> DataFrame:
        items = [
            (f"{n}", None, None, None, None, None, ["mug"], [title])
            for n, title in enumerate(titles)
        ]
        return spark.createDataFrame(items, ITEMS.schema)

    events = rows(
        "user_id string, item_id string, query string",
        ("ann", "0", None), ("ben", "other", None), ("cat", None, "mugs"), ("dan", None, "pots"),
    )  # fmt: skip
    before, now = catalog("Mug", "Mug", "Mugs"), catalog("Mug", "Mugs", "Mugs")
    users = find_users_of_changed_items(events, before, now).distinct().collect()
    assert sorted(r[0] for r in users) == ["ann", "cat"]
