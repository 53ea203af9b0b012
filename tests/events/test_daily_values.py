"""Events are counted per day and value of a field, and rare values together."""

from datetime import date

import pytest

from profile_lib.events.daily_values import (
    DAY_KEY,
    MAX_VALUES,
    PRICE_BOUNDS,
    count_daily_values,
    keep_frequent_values,
    price_band,
)

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
EVENTS = (
    "source string, event_date date, event_type string, price double, language string, "
    "item_id string, sign int"
)
COUNTS = "source string, day date, field string, value string, n_rows long"


def counts_by_field(frame) -> dict[str, dict[str, int]]:
    by_field: dict[str, dict[str, int]] = {}
    for row in frame.collect():
        by_field.setdefault(row["field"], {})[row["value"]] = row["n_rows"]
    return by_field


def test_each_event_counts_once_per_field_and_null_as_missing(rows):
    events = rows(
        EVENTS,
        ("shop", MONDAY, "view", 9.5, "en", "tee", 1),
        ("shop", MONDAY, "view", 12.0, None, "tee", 1),
        ("shop", MONDAY, "search", None, "zh", None, 1),
        ("shop", MONDAY, "view", 100.0, "en", "unknown", 1),
    )
    items = rows("item_id string, category string", ("tee", "shirts"), ("mug", "cups"))
    assert counts_by_field(count_daily_values(events, items)) == {
        "event_type": {"view": 3, "search": 1},
        "price_band": {"8 to 16": 2, "64 to 128": 1, "(missing)": 1},
        "category": {"shirts": 2, "(missing)": 2},
        "language": {"en": 2, "zh": 1, "(missing)": 1},
    }


def test_removed_events_are_taken_off_and_counts_of_zero_left_out(rows):
    events = rows(
        EVENTS,
        ("shop", MONDAY, "view", 1.0, "en", None, 1),
        ("shop", MONDAY, "cart", 1.0, "en", None, 1),
        ("shop", MONDAY, "cart", 1.0, "en", None, -1),
        ("shop", TUESDAY, "cart", 1.0, "en", None, -1),
    )
    counts = count_daily_values(events, rows("item_id string, category string"))
    types = counts.where("field = 'event_type'").drop("source", "field")
    assert {tuple(row) for row in types.collect()} == {(MONDAY, "view", 1), (TUESDAY, "cart", -1)}


def test_days_and_sources_are_counted_apart(rows):
    days = [("a", MONDAY), ("a", TUESDAY), ("b", MONDAY), ("b", MONDAY)]
    events = rows(EVENTS, *[(*key, "view", None, None, None, 1) for key in days])
    counts = count_daily_values(events, rows("item_id string, category string"))
    types = counts.where("field = 'event_type'").select("source", "day", "n_rows")
    expected = {("a", MONDAY, 1), ("a", TUESDAY, 1), ("b", MONDAY, 2)}
    assert {tuple(row) for row in types.collect()} == expected


def test_all_but_the_most_frequent_values_are_summed_as_other(rows):
    key = ("shop", MONDAY, "category")
    values = [(*key, f"c{n:03}", 100 + n) for n in range(MAX_VALUES + 3)]
    kept = counts_by_field(keep_frequent_values(rows(COUNTS, *values)))["category"]
    assert len(kept) == MAX_VALUES + 1
    assert kept["(other)"] == 100 + 101 + 102
    assert kept["c003"] == 103
    assert sum(kept.values()) == sum(n_rows for *_, n_rows in values)


def test_rare_values_of_several_batches_are_summed_again(rows):
    key = ("shop", MONDAY, "category")
    values = [(*key, f"c{n:03}", 9) for n in range(MAX_VALUES)]
    again = rows(COUNTS, *values, (*key, "(other)", 4), (*key, "rare", 2))
    kept = counts_by_field(keep_frequent_values(again))["category"]
    assert kept["(other)"] == 6
    assert DAY_KEY == ("source", "day", "field")


@pytest.mark.parametrize("bound", PRICE_BOUNDS[1:-1])
def test_a_price_at_a_bound_belongs_to_the_band_above_it(rows, bound):
    below = bound * (1 - 1e-12)
    frame = rows("price double", (bound,), (below,))
    bands = [row[0] for row in frame.select(price_band(frame["price"])).collect()]
    assert bands[0].startswith(f"{bound:.10g} to ")
    assert bands[1].endswith(f" {bound:.10g}")
