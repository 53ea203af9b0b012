"""Check how values are typed and normalised, and which reasons invalid ones get."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from profile_lib.events.cleaning import clean_events, normalise_text

EVENT_TYPE_MAPPING = {"view": "view", "buy": "purchase", "heartbeat": None}
ROW = {
    "event_id": "1", "user_id": "ann", "event_ts": "2026-01-02 03:04:05", "event_type": "view",
    "item_id": " mug ", "query": None, "text": None, "rating": None, "price": None,
    "quantity": None, "dwell_seconds": None, "position": None, "step": None,
}  # fmt: skip


@pytest.fixture
def cleaned(spark):
    """Clean rows that differ from ROW by the given changes; return them in order."""

    def clean(*changes: dict) -> list[dict]:
        values = [tuple({**ROW, **c, "event_id": str(i)}.values()) for i, c in enumerate(changes)]
        schema = ", ".join(f"{name} string" for name in ROW)
        frame = clean_events(
            spark.createDataFrame(values, schema), EVENT_TYPE_MAPPING, "shop",
            earliest=datetime(2020, 1, 1, tzinfo=UTC), latest=datetime(2026, 2, 1, tzinfo=UTC),
            max_text_chars=1000,
        )  # fmt: skip
        return [r.asDict() for r in frame.orderBy(F.col("event_id").cast("int")).collect()]

    return clean


def test_a_valid_row_is_typed_and_has_no_reasons(cleaned):
    valid = {"event_type": "buy", "price": " 9.50", "quantity": "2", "rating": "4", "position": "3"}
    (row,) = cleaned(valid)
    assert row["reasons"] == []
    assert (row["event_type"], row["item_id"], row["source"]) == ("purchase", "mug", "shop")
    assert (row["price"], row["quantity"], row["rating"], row["position"]) == (9.5, 2, 4.0, 3)
    assert row["event_ts"] == row["ingest_ts"] == datetime(2026, 1, 2, 3, 4, 5)


def test_an_event_type_mapped_to_null_is_dropped(cleaned):
    assert cleaned({"event_type": "heartbeat"}) == []


REJECTED_ROWS = [
    ({"user_id": None}, ["user_id is null"]),
    ({"event_ts": None}, ["event_ts is null"]),
    ({"event_ts": "yesterday"}, ["event_ts is not a time: yesterday"]),
    ({"event_ts": "2031-01-01"}, ["event_ts in the future"]),
    ({"event_ts": "1970-01-01"}, ["event_ts before the earliest that can be"]),
    ({"event_type": "teleport"}, ["event_type without a mapping: teleport"]),
    ({"event_type": None}, ["event_type is null"]),
    ({"price": "ten"}, ["price is not a number: ten"]),
    ({"price": "-1"}, ["price is outside 0 to 1e+07: -1"]),
    ({"rating": "9"}, ["rating is outside 1 to 5: 9"]),
    (
        {"step": "checkout"},
        [
            "step is none of home, list, account, basket, signin, details, payment, confirm, "
            "done: checkout"
        ],
    ),
    ({"position": "0"}, ["position is outside 1 to 1e+06: 0"]),
    ({"user_id": None, "price": "ten"}, ["user_id is null", "price is not a number: ten"]),
    ({"price": ""}, []),
]


def test_each_broken_rule_is_reported_as_one_reason(cleaned):
    rows = cleaned(*[change for change, _ in REJECTED_ROWS])
    assert [row["reasons"] for row in rows] == [reasons for _, reasons in REJECTED_ROWS]


def test_a_text_of_a_megabyte_is_cut_and_its_row_is_accepted(cleaned):
    (row,) = cleaned({"text": "word " * 200_000})
    assert row["reasons"] == []
    assert len(row["text"]) <= 1000


TEXTS = [
    ("plain words", "plain words"),
    ("  Much\t\n  space ", "Much space"),
    ("ＡＢＣ１２３！　ｘ", "ABC123! x"),
    ("<b>bold</b> claim", "bold claim"),
    ("salt &amp; pepper &lt;3", "salt & pepper <3"),
    ("红色　运动鞋\u0000", "红色 运动鞋"),
    ("", None),
    (" \t", None),
    (None, None),
]


def test_full_width_letters_markup_entities_and_control_characters_are_normalised(rows):
    frame = rows("i int, t string", *[(i, text) for i, (text, _) in enumerate(TEXTS)])
    assertDataFrameEqual(
        frame.select("i", normalise_text(F.col("t"), 100, False).alias("t")),
        rows("i int, t string", *[(i, expected) for i, (_, expected) in enumerate(TEXTS)]),
    )
