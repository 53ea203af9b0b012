"""Check labels, splits by time and sampled negatives."""

from datetime import UTC, datetime, timedelta

from profile_lib.examples.labels import label_cutoffs
from profile_lib.examples.split import sample_negatives, split_by_time

EVENT = (
    "user_id string, event_ts timestamp, event_id string, event_type string, "
    "item_id string, quantity double, price double, sequence long, ingest_ts timestamp"
)
CUTOFF = "user_id string, cutoff_ts timestamp"
DAY = timedelta(days=1)


def at(hour: int, day: int = 1) -> datetime:
    return datetime(2026, 1, day, hour)


NOON = [("ann", at(12))]


def labels(rows, events, cutoffs=NOON):
    return [
        (r.user_id, r.buys, r.next_category, r.age_band, r.gender)
        for r in label(rows, events, cutoffs)
    ]


def label(rows, events, cutoffs=NOON):
    """Label cutoffs by events, whose last columns may be left out: they arrive as they happen."""
    complete = [(*event, *[None] * (8 - len(event)), event[1])[:9] for event in events]
    frame = label_cutoffs(
        rows(CUTOFF, *cutoffs),
        rows(EVENT, *complete),
        rows(
            "item_id string, category string", ("mug", "drinkware"), ("tee", "apparel"), ("x", None)
        ),
        rows(
            "user_id string, age_band string, gender string, attributes map<string,string>",
            ("ann", "25-34", None, {"income": "high"}),
        ),
        DAY,
    )
    return frame.orderBy("user_id", "cutoff_ts").collect()


def test_a_purchase_counts_from_the_cutoff_until_just_before_the_end_of_the_horizon(rows):
    cutoffs = [("ann", at(12)), ("bob", at(12)), ("cat", at(12))]
    events = [
        ("ann", at(12), "1", "purchase", "mug", 1.0),
        ("bob", at(11), "2", "purchase", "mug", 1.0),
        ("cat", at(12, day=2), "3", "purchase", "mug", 1.0),
    ]
    labelled = labels(rows, events, cutoffs)
    assert [buys for _, buys, *_ in labelled] == [1, 0, 0]


def test_a_return_neither_counts_nor_takes_back_a_purchase(rows):
    returned = ("ann", at(13), "1", "return", "mug", 1.0, 8.0)
    (row,) = label(rows, [returned])
    assert (row.buys, row.spend, row.next_category, row.next_categories) == (0, 0.0, None, [])
    bought = ("ann", at(14), "2", "purchase", "tee", 0.5, 8.0)
    (row,) = label(rows, [returned, bought, ("ann", at(15), "3", "return", "tee", 0.5, 8.0)])
    assert (row.buys, row.spend, row.next_categories) == (1, 4.0, ["apparel"])


def test_an_event_that_arrived_before_the_cutoff_is_no_label_whatever_its_clock_shows(rows):
    """It happened before it arrived, so before the cutoff."""
    ahead = ("ann", at(20), "1", "purchase", "mug", 1.0, 8.0, None, at(11))
    in_time = (*ahead[:8], at(12))
    assert [label(rows, [event])[0].buys for event in (ahead, in_time)] == [0, 1]


def test_the_next_of_two_events_of_one_second_is_that_with_the_lower_sequence(rows):
    later = ("ann", at(13), "1", "view", "mug", None, None, 7)
    sooner = ("ann", at(13), "2", "view", "tee", None, None, 5)
    without = ("ann", at(13), "3", "view", "x", None, None, None)
    assert [row[2] for row in labels(rows, [later, without, sooner])] == ["apparel"]
    unnumbered = (*later[:7], None)
    assert [row[2] for row in labels(rows, [unnumbered, sooner])] == ["drinkware"]


def test_the_next_category_is_that_of_the_first_event_whose_item_has_a_category(rows):
    events = [
        ("ann", at(13), "1", "page", None, None),
        ("ann", at(14), "2", "view", "x", None),
        ("ann", at(15), "4", "view", "tee", None),
        ("ann", at(15), "3", "view", "mug", None),
    ]
    assert labels(rows, events) == [("ann", 0, "drinkware", "25-34", None)]


def test_without_later_events_the_example_is_negative_and_has_no_next_category(rows):
    assert labels(rows, []) == [("ann", 0, None, "25-34", None)]


def test_splits_follow_time_and_no_horizon_reaches_into_the_next_split(rows):
    days = {day: datetime(2026, 1, day) for day in range(1, 8)}
    frame = rows(CUTOFF, *[("ann", ts) for ts in days.values()])
    split = split_by_time(
        frame, datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC), 2 * DAY
    )
    assert {r.cutoff_ts.day: r.split for r in split.collect()} == {
        1: "train", 3: "validation", 4: "validation", 6: "test", 7: "test",
    }  # fmt: skip


def test_sampled_training_negatives_have_weights_and_all_other_examples_stay(rows):
    examples = rows(
        "user_id string, cutoff_ts timestamp, split string, buys int",
        *[(f"n{i}", at(1), "train", 0) for i in range(2000)],
        *[(f"p{i}", at(1), "train", 1) for i in range(50)],
        *[(f"t{i}", at(1), "test", 0) for i in range(50)],
    )
    kept = sample_negatives(examples, 0.25, seed=3).collect()
    negatives = [r for r in kept if r.user_id.startswith("n")]
    assert 430 <= len(negatives) <= 570
    assert {r.sampling_weight for r in negatives} == {4.0}
    others = [r for r in kept if not r.user_id.startswith("n")]
    assert len(others) == 100
    assert {r.sampling_weight for r in others} == {1.0}
