"""Check that each row is counted once, and that examples show nobody."""

import pytest

from profile_lib.events.quality import BatchQuality, Count, count_rules

SCHEMA = "status string, reasons array<string>, issues array<string>"
NOT_A_TIME = "event_ts:not_a_time"


def test_a_rejected_row_counts_for_its_first_reason_and_any_row_for_its_issues(rows):
    judged = rows(
        SCHEMA,
        ("kept", [], []),
        ("kept", [], ["price:out_of_range", "rating:not_a_number=9,9"]),
        ("rejected", ["user_id:missing", f"{NOT_A_TIME}=a"], ["price:out_of_range"]),
        ("rejected", [f"{NOT_A_TIME}=9:9"], []),
        ("rejected", [f"{NOT_A_TIME}=9:9"], []),
        ("rejected", [f"{NOT_A_TIME}=a 9"], []),
        ("rejected", ["not_json"], []),
        ("left_out", ["user_id:missing"], ["price:out_of_range"]),
        ("duplicate", [], []),
    )
    statuses, rules = count_rules(judged)
    assert statuses == {"kept": 2, "rejected": 5, "left_out": 1, "duplicate": 1}
    assert rules == (
        Count("missing", "user_id", 1),
        Count("not_a_number", "rating", 1, "9,9"),
        Count("not_a_time", "event_ts", 3, "9:9"),
        Count("not_json", "", 1),
        Count("out_of_range", "price", 2),
    )
    assert rules[0].name == "user_id:missing"
    assert rules[3].name == "not_json"


@pytest.mark.parametrize(
    ("word", "n_rows", "example"),
    [
        ("add_to_wishlist", 20, "add_to_wishlist"),
        ("add_to_wishlist", 19, None),
        ("Ann Smith, 1 Main St", 50, None),
        ("ann@example.org", 50, None),
        ("x" * 41, 50, None),
        ("a=b", 50, None),
    ],
)
def test_a_word_is_an_example_only_if_many_rows_have_it_and_it_is_no_text(
    rows, word, n_rows, example
):
    rejected = [("rejected", [f"event_type:not_mapped={word}"], [])] * n_rows
    _, (count,) = count_rules(rows(SCHEMA, *rejected))
    assert count == Count("not_mapped", "event_type", n_rows, example)


QUALITY = BatchQuality(
    n_read=1_000,
    statuses={"kept": 700, "rejected": 250, "left_out": 50},
    rules=(
        Count("placeholder", "user_id", 100),
        Count("too_frequent", "user_id", 60),
        Count("user_agent", "bot", 40),
        Count("events_per_minute", "bot", 20),
        Count("missing", "user_id", 30),
        Count("out_of_range", "price", 700),
    ),
)


def test_rows_of_robots_and_of_nobody_are_not_faulty():
    assert QUALITY.n_faulty == 30


def test_a_batch_is_described_and_all_its_counts_are_listed():
    assert QUALITY.describe() == "1,000 rows read: 700 kept, 250 rejected, 50 left out"
    assert QUALITY.counts()[:6] == [
        Count("read", "", 1_000),
        Count("kept", "", 700),
        Count("rejected", "", 250),
        Count("left_out", "", 50),
        Count("duplicate", "", 0),
        Count("known", "", 0),
    ]
    assert QUALITY.counts()[6:] == list(QUALITY.rules)


def test_a_row_that_was_read_but_not_judged_ends_the_run():
    QUALITY.check_conservation()
    with pytest.raises(RuntimeError, match="1001 rows were read, but judged: .'kept': 700"):
        QUALITY._replace(n_read=1_001).check_conservation()
