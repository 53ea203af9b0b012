"""Check how the catalog is derived and merged, and how keywords are extracted."""

import statistics
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from profile_lib.events.item_statistics import build_item_statistics
from profile_lib.features.catalog import (
    add_keywords,
    compare_items,
    derive_items,
    median,
    select_differing_items,
)
from profile_lib.tables import ITEM_STATISTICS, ITEMS

ITEM_SCHEMA = "item_id string, title string, category string, brand string, price double"
DECLARED = (datetime(2026, 1, 1), "declared")


def test_an_item_has_its_most_frequent_texts_and_its_median_price_unless_they_are_declared(rows):
    counted = rows(
        ITEM_STATISTICS.schema,
        ("mug", {"blue mug": 3, "mug": 5}, {"cups": 1}, {}, {0.01: 1, 30.0: 3}, {}, ["b"]),
        ("pen", {"a": 1, "b": 1}, {}, {}, {1.0: 1, 2.0: 1}, {}, ["b"]),
        ("tee", {"tee": 9}, {"tops": 1}, {}, {5.0: 1},
         {"title": DECLARED, "category": (DECLARED[0], None), "price": (DECLARED[0], "7.25")},
         ["b"]),
        ("cup", {}, {}, {}, {}, {}, ["b"]),
    )  # fmt: skip
    items = {r.item_id: tuple(r)[1:] for r in derive_items(counted).collect()}
    assert items == {
        "mug": ("mug", "cups", None, 30.0),
        "pen": ("b", None, None, 1.5),
        "tee": ("declared", "tops", None, 7.25),
        "cup": (None, None, None, None),
    }


@given(prices=st.dictionaries(st.floats(0, 1e6), st.integers(1, 5), min_size=1, max_size=9))
@settings(max_examples=8)
def test_the_median_of_counts_is_that_of_the_values_they_count(spark, prices):
    frame = spark.createDataFrame([(prices,)], "prices map<double,long>")
    values = [price for price, n in prices.items() for _ in range(n)]
    assert frame.select(median(F.col("prices"))).first()[0] == statistics.median(values)


def test_a_price_level_is_the_share_of_cheaper_items_in_the_category(rows, spark):
    derived = rows(
        ITEM_SCHEMA,
        ("1", None, "pens", None, 1.0),
        ("2", None, "pens", None, 2.0),
        ("9", None, "pens", None, 9.0),
        ("x", "red pens", "pens", None, None),
    )
    stored = spark.createDataFrame(
        [("4", "old pen", "pens", "acme", 4.0, 0.0, ["old", "pen"], None),
         ("9", "stored title", "pens", "acme", 5.0, 0.0, [], None)], ITEMS.schema,
    )  # fmt: skip
    items = {r.item_id: r for r in add_keywords(compare_items(derived, stored)).collect()}
    levels = {i: r.price_level for i, r in items.items()}
    assert levels == {
        "1": 0.0,
        "2": 0.35,  # a third, rounded to a multiple of 0.05
        "4": 0.65,  # an item without statistics stays
        "9": 1.0,
        "x": None,
    }
    assert (items["9"].title, items["9"].price) == (None, 9.0)
    assert (items["x"].keywords, items["x"].keyword_forms) == (["red", "pen"], ["red", "pens"])
    assert (items["1"].keywords, items["1"].keyword_forms) == ([], [])


def test_only_items_that_are_new_or_differ_in_a_value_a_level_or_a_keyword_are_selected(rows):
    derived = rows(
        ITEM_SCHEMA,
        ("same", "blue", "cups", None, 1.0),
        ("costs more", "tee", None, None, 2.0),
        ("other level", "pen", "pens", None, 1.0),
        ("other rule", "pens", None, None, None),
        ("new", None, None, None, None),
    )
    stored = rows(
        ITEMS.schema,
        ("same", "blue", "cups", None, 1.0, 0.0, ["blue"], ["blue"]),
        ("costs more", "tee", None, None, 1.0, 0.0, ["tee"], ["tee"]),
        ("other level", "pen", "pens", None, 1.0, 0.5, ["pen"], ["pen"]),
        ("other rule", "pens", None, None, None, None, ["pens"], ["pens"]),
    )
    compared = compare_items(derived, stored)
    differing = [row.item_id for row in select_differing_items(compared).collect()]
    assert sorted(differing) == ["costs more", "new", "other level"]
    with_keywords = select_differing_items(add_keywords(compared)).collect()
    assert sorted(row.item_id for row in with_keywords) == sorted([*differing, "other rule"])


RAW_TITLES = {
    "Caf&eacute;": ("Café", ["café"], ["Café"]),
    "Caf&#233;": ("Café", ["café"], ["Café"]),
    "Rock&#x27;n&#x27;Roll mug": ("Rock'n'Roll mug", ["rock'n'rol", "mug"], ["Rock'n'Roll", "mug"]),
    "wire\u00adless\u200b mouse": ("wireless mouse", ["wireless", "mous"], ["wireless", "mouse"]),
    "手\u200b机\u200b壳": ("手机壳", ["手机", "壳"], ["手机", "壳"]),
    "手機殼": ("手機殼", ["手机", "壳"], ["手機", "殼"]),
    "Tom &amp;amp; Jerry": ("Tom & Jerry", ["tom", "jerri"], ["Tom", "Jerry"]),
    "Computer case": ("Computer case", ["comput", "case"], ["Computer", "case"]),
    "Cafe\u0301 table": ("Café table", ["café", "tabl"], ["Café", "table"]),
    "Häagen-Dazs": ("Häagen-Dazs", ["häagen-dazs"], ["Häagen-Dazs"]),
    "Kinder\u00adwagen": ("Kinderwagen", ["kinderwagen"], ["Kinderwagen"]),
    "usb < hdmi > vga": ("usb < hdmi > vga", ["usb", "hdmi", "vga"], ["usb", "hdmi", "vga"]),
}


def test_raw_titles_become_titles_that_people_read_with_keywords_and_their_forms(rows, spark):
    views = rows("item_id string, title string, price double", *((t, t, 1.0) for t in RAW_TITLES))
    derived = derive_items(build_item_statistics(views, None, 1000, "batch"))
    items = add_keywords(compare_items(derived, spark.createDataFrame([], ITEMS.schema)))
    assert {
        row.item_id: (row.title, row.keywords, row.keyword_forms) for row in items.collect()
    } == RAW_TITLES
