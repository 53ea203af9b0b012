"""Check how the catalog is derived and merged, and how keywords are extracted."""

import pytest

from profile_lib.features.catalog import derive_items, merge_items
from profile_lib.features.keywords import split_words
from profile_lib.tables import ITEMS

ITEM_SCHEMA = "item_id string, title string, category string, brand string, price double"
OBSERVATION_SCHEMA = f"{ITEM_SCHEMA}, n long"


def test_an_item_has_its_most_frequent_values_and_its_median_price(rows):
    descriptions = rows(
        OBSERVATION_SCHEMA,
        ("mug", "blue mug", "drinkware", None, 10.0, 2),
        ("mug", "blue mug", "sale", None, 12.0, 1),
        ("mug", "Blue Mug!", "drinkware", "acme", 30.0, 2),
        ("pen", "b", None, None, None, 1),
        ("pen", "a", None, None, None, 1),
    )
    items = {r.item_id: tuple(r)[1:] for r in derive_items(descriptions).collect()}
    assert items == {
        "mug": ("blue mug", "drinkware", "acme", 12.0),
        "pen": ("b", None, None, None),
    }


def test_a_price_level_is_the_share_of_cheaper_items_in_the_category(rows, spark):
    new = rows(ITEM_SCHEMA, *[(f"{p}", None, "pens", None, float(p)) for p in (1, 2, 2, 9)][:2],
               ("9", None, "pens", None, 9.0), ("x", "red pens", "pens", None, None))  # fmt: skip
    stored = spark.createDataFrame(
        [("4", "old pen", "pens", "acme", 4.0, 0.0, ["old", "pen"]),
         ("9", "stored title", "pens", "acme", 5.0, 0.0, [])], ITEMS.schema,
    )  # fmt: skip
    items = {r.item_id: r for r in merge_items(new, stored).collect()}
    levels = {i: r.price_level for i, r in items.items()}
    assert levels == {
        "1": 0.0,
        "2": 0.35,  # a third, rounded to a multiple of 0.05
        "4": 0.65,
        "9": 1.0,
        "x": None,
    }
    assert (items["9"].title, items["9"].price) == ("stored title", 9.0)
    assert items["x"].keywords == ["red", "pen"]
    assert items["1"].keywords == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Men's Running Shoes, the 2nd running shoe", ["men", "run", "shoe", "2nd"]),
        ("红色的运动鞋", ["红色", "运动鞋"]),
        ("Nike 运动鞋 and T-shirts", ["nike", "运动鞋", "shirt"]),
        ("!!! ...", []),
    ],
)
def test_keywords_are_stems_without_stop_words_in_english_and_chinese(text, words):
    assert split_words(text) == words
