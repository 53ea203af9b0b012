"""Counts of batches add up to counts of days."""

from datetime import date

from profile_lib.events.quality import Count
from profile_lib.events.quality_report.days import collect_days, sum_days, sum_files

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
QUALITY = "source string, day date, rule string, field string, n_rows long, example string"


def test_the_batches_of_a_day_add_up_and_the_largest_count_gives_the_example(rows):
    quality = rows(
        QUALITY,
        ("shop", MONDAY, "read", "", 100, None),
        ("shop", MONDAY, "kept", "", 97, None),
        ("shop", MONDAY, "rejected", "", 3, None),
        ("shop", MONDAY, "not_a_number", "price", 2, "9,9"),
        ("shop", MONDAY, "read", "", 10, None),
        ("shop", MONDAY, "kept", "", 10, None),
        ("shop", MONDAY, "not_a_number", "price", 5, "a 9"),
        ("shop", MONDAY, "not_a_number", "price", 8, None),
        ("shop", TUESDAY, "read", "", 7, None),
    )
    tuesday, monday = collect_days(sum_days(quality).collect())
    assert (monday.day, monday.n_batches, monday.counts.n_read) == (MONDAY, 2, 110)
    assert monday.counts.statuses == {"kept": 107, "rejected": 3}
    assert monday.counts.rules == (Count("not_a_number", "price", 15, "a 9"),)
    assert monday.share_of("price:not_a_number") == 15 / 110
    assert monday.share_of("price:out_of_range") == 0
    assert monday.n_unaccounted == 0
    assert (tuesday.counts.n_read, tuesday.counts.rules, tuesday.n_unaccounted) == (7, (), 7)


def test_a_rule_of_the_whole_row_is_no_status(rows):
    quality = rows(
        QUALITY,
        ("shop", MONDAY, "read", "", 5, None),
        ("shop", MONDAY, "rejected", "", 5, None),
        ("shop", MONDAY, "wrong_number_of_fields", "", 5, None),
    )
    (day,) = collect_days(sum_days(quality).collect())
    assert day.counts.statuses == {"rejected": 5}
    assert [rule.name for rule in day.counts.rules] == ["wrong_number_of_fields"]
    assert day.n_unaccounted == 0


def test_files_are_counted_per_day_and_status(rows):
    files = rows(
        "source string, load_date date, status string, n_bytes long",
        ("shop", MONDAY, "read", 1000),
        ("shop", MONDAY, "read", 24),
        ("shop", MONDAY, "copy", 5),
    )
    counts = {tuple(row) for row in sum_files(files).collect()}
    assert counts == {("shop", MONDAY, "read", 2, 1024), ("shop", MONDAY, "copy", 1, 5)}
