"""Check how the values of items are counted, and which counts are kept."""

import pytest
from pyspark.sql import functions as F

from profile_lib.events.item_statistics import (
    MAX_PRICES,
    build_item_statistics,
    keep_most_frequent,
)
from profile_lib.features.catalog import median
from profile_lib.tables import ITEM_STATISTICS

EVENTS = "item_id string, title string, category string, price double"


def test_each_value_of_an_item_is_counted_after_normalisation(rows):
    events = rows(
        EVENTS,
        ("mug", "Blue  mug", "Drinkware", 10.0),
        ("mug", "Blue mug", "drinkware", 12.0),
        ("mug", "<b>Mug</b>", None, 10.0),
        ("pen", None, " ", None),
        (None, "a page", None, 1.0),
    )
    statistics = build_item_statistics(events, None, max_text_chars=100, batch_id="b1")
    ITEM_STATISTICS.conform(statistics)
    counted = {r.item_id: r.asDict() for r in statistics.drop("declared", "batch_ids").collect()}
    assert counted == {
        "mug": {
            "item_id": "mug",
            "titles": {"Blue mug": 2, "Mug": 1},
            "categories": {"drinkware": 2},
            "brands": {},
            "prices": {10.0: 2, 12.0: 1},
        },
        "pen": {"item_id": "pen", "titles": {}, "categories": {}, "brands": {}, "prices": {}},
    }


def test_more_prices_than_are_kept_leave_the_frequent_ones_and_a_sample_of_the_others(spark):
    prices = spark.range(1_000).selectExpr("'mug' item_id", "CAST(id AS DOUBLE) price")
    frequent = spark.range(4).selectExpr("'mug' item_id", "CAST(2000 AS DOUBLE) price")
    statistics = build_item_statistics(prices.union(frequent), None, 100, "b1")
    counts, middle = statistics.select("prices", median(F.col("prices"))).first()
    assert len(counts) == MAX_PRICES
    assert counts[2000.0] == 4
    assert middle == pytest.approx(500, abs=100)  # with the greatest prices it would be above 900


def test_counts_that_are_cut_in_parts_keep_the_values_of_a_cut_of_all(spark):
    counts = spark.range(60).selectExpr("CAST(id AS STRING) value", "1 + id % 3 AS n")

    def cut(where: str):
        entries = F.map_from_entries(F.collect_list(F.struct("value", "n")))
        return counts.where(where).agg(keep_most_frequent(entries, 10).alias("kept"))

    halves = cut("id < 30").crossJoin(cut("id >= 30").withColumnRenamed("kept", "others"))
    merged = halves.select(keep_most_frequent(F.map_concat("kept", "others"), 10)).first()[0]
    assert merged == cut("true").first()[0]
