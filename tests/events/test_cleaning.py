"""Check how values are typed, which rules a row breaks, and what then becomes of it."""

from datetime import datetime

import pytest

from profile_lib.events.cleaning import UNIT_SEPARATOR
from profile_lib.events.column_mapping import IS_WANTED
from profile_lib.events.formats.registry import PROBLEM
from tests.events.mapped_rows import ARRIVED, clean

ZEROS = "00000000-0000-0000-0000-000000000000"
LONG = "x" * 2_001
REJECTED = [
    ({"user_id": None}, ["user_id:missing"]),
    ({"user_id": ""}, ["user_id:missing"]),
    ({"user_id": " \t\u00a0"}, ["user_id:missing"]),
    ({"user_id": "undefined"}, ["user_id:placeholder"]),
    ({"user_id": " (Not Set)"}, ["user_id:placeholder"]),
    ({"user_id": "0"}, ["user_id:placeholder"]),
    ({"user_id": ZEROS}, ["user_id:placeholder"]),
    ({"user_id": f"{{{ZEROS}}}"}, ["user_id:placeholder"]),
    ({"user_id": ZEROS.replace("0", "f")}, ["user_id:placeholder"]),
    ({"user_id": "\\N"}, ["user_id:placeholder"]),
    ({"user_id": "<NA>"}, ["user_id:placeholder"]),
    ({"user_id": '"undefined"'}, ["user_id:placeholder"]),
    ({"user_id": LONG}, ["user_id:too_long"]),
    ({"user_id": "caf\ufffd"}, ["user_id:not_text"]),
    ({"event_ts": None}, ["event_ts:missing"]),
    ({"event_ts": " "}, ["event_ts:missing"]),
    ({"event_ts": "Monday, 5 pm"}, ["event_ts:not_a_time=a, 9 a"]),
    ({"event_ts": "12:30"}, ["event_ts:not_a_time=9:9"]),
    ({"event_ts": "2016"}, ["event_ts:not_a_time=9"]),
    ({"event_ts": "2019-12-31 23:59:59"}, ["event_ts:too_early"]),
    ({"event_ts": "2026-02-01"}, ["event_ts:in_the_future"]),
    ({"event_type": None}, ["event_type:missing"]),
    ({"event_type": " "}, ["event_type:missing"]),
    ({"event_type": "View"}, ["event_type:not_mapped=View"]),
    ({"event_type": f"a{UNIT_SEPARATOR}secret"}, ["event_type:not_mapped=a secret"]),
    ({"event_type": "y" * 50}, ["event_type:not_mapped=" + "y" * 41]),
    (
        {"user_id": None, "event_ts": "x", "event_type": "y"},
        ["user_id:missing", "event_ts:not_a_time=a", "event_type:not_mapped=y"],
    ),
    ({PROBLEM: "not_json", "user_id": None}, ["not_json"]),
    ({PROBLEM: "not_json", IS_WANTED: None}, ["not_json"]),
]
VALUES = [
    ("price", " 9.50", 9.5, None),
    ("price", "", None, None),
    ("price", "1,299.00", 1_299.0, None),
    ("price", "15000000", 15_000_000.0, None),
    ("price", "12,50", None, "price:not_a_number=9,9"),
    ("price", "ten €", None, "price:not_a_number=a €"),
    ("price", "NaN", None, "price:not_a_number=a"),
    ("price", "1e999", None, "price:not_a_number=9a9"),
    ("price", "-1", None, "price:out_of_range"),
    ("quantity", "0.5", 0.5, None),
    ("quantity", "-2", 2.0, None),
    ("quantity", "2000000", None, "quantity:out_of_range"),
    ("rating", "4.5", 4.5, None),
    ("rating", "0", None, "rating:out_of_range"),
    ("dwell_seconds", "86401", None, "dwell_seconds:out_of_range"),
    ("position", "3", 3, None),
    ("position", "0", None, "position:out_of_range"),
    ("step", "Basket", "basket", None),
    ("step", "checkout", None, "step:unknown"),
    ("time_zone", "Asia/Shanghai", "Asia/Shanghai", None),
    ("time_zone", "Mars", None, "time_zone:unknown"),
    ("time_zone", "ROC", None, "time_zone:unknown"),  # unknown to Java
    ("item_id", "\tmug ", "mug", None),
    ("item_id", LONG[:-1], LONG[:-1], None),
    ("item_id", LONG, None, "item_id:too_long"),
    ("item_id", "undefined", None, "item_id:placeholder"),
    ("order_id", "A-1", "A-1", None),
    ("order_id", ZEROS, None, "order_id:placeholder"),
    ("session_hint", "null", None, "session_hint:placeholder"),
    ("channel", " web ", "web", None),
    ("channel", "c" * 201, None, "channel:too_long"),
    ("device", "\ufffd", None, "device:not_text"),
    ("channel", "mail to ann@example.com", None, "channel:personal_data"),
    ("channel", "news @ home", "news @ home", None),
    (
        "referrer",
        "https://shop.example/in?email=ann@example.com",
        "https://shop.example/in",
        None,
    ),
    ("referrer", "https://shop.example/#uid=12", "https://shop.example/", None),
    ("referrer", "https://shop.example/ann@example.com", None, "referrer:personal_data"),
    ("title", "Caf\ufffd cr\ufffdme", None, "title:not_text"),
    ("brand", " Café ", "Café", None),
    ("query", "Caf\ufffd", None, "query:not_text"),
    ("sequence", "1709287260000000001", 1_709_287_260_000_000_001, None),
    ("sequence", "1e3", 1_000, None),
    ("ingest_ts", "2026-01-02 04:00:00", datetime(2026, 1, 2, 4), None),
    ("ingest_ts", "soon", ARRIVED.replace(tzinfo=None), "ingest_ts:not_a_time"),
    ("ingest_ts", None, ARRIVED.replace(tzinfo=None), None),
]
RENAMED = {"order_id": "raw_order", "session_hint": "raw_session"}
LEFT_OUT = [
    {"event_type": "heartbeat"},
    {IS_WANTED: False},
    {IS_WANTED: None},
    {IS_WANTED: False, "user_id": None},
]


@pytest.fixture(scope="module")
def cleaned(spark, tmp_path_factory) -> dict[str, dict]:
    """All rows of this file, by what is changed in them."""
    changes = [change for change, _ in REJECTED] + LEFT_OUT + [{}, {"event_type": " buy"}]
    changes += [{name: text} for name, text, _, _ in VALUES] + [{"sequence": "x"}]
    rows = clean(spark, tmp_path_factory.mktemp("mapping"), changes)
    return {str(change): row for change, row in zip(changes, rows, strict=True)}


@pytest.mark.parametrize(("change", "reasons"), REJECTED, ids=lambda x: str(x)[:40])
def test_a_row_is_rejected_for_each_rule_that_it_breaks(cleaned, change, reasons):
    row = cleaned[str(change)]
    assert (row["status"], row["reasons"]) == ("rejected", reasons)


@pytest.mark.parametrize(("name", "text", "value", "issue"), VALUES, ids=lambda x: str(x)[:20])
def test_a_field_is_typed_or_null_with_an_issue_and_its_row_is_kept(
    cleaned, name, text, value, issue
):
    row = cleaned[str({name: text})]
    assert (row["status"], row["reasons"]) == ("kept", [])
    assert row[RENAMED.get(name, name)] == value
    assert row["issues"] == ([] if issue is None else [issue])


@pytest.mark.parametrize("change", LEFT_OUT, ids=str)
def test_a_row_that_the_mapping_leaves_out_is_not_rejected(cleaned, change):
    assert cleaned[str(change)]["status"] == "left_out"


def test_a_valid_row_has_its_words_as_event_types_and_its_day(cleaned):
    view, purchase = cleaned["{}"], cleaned[str({"event_type": " buy"})]
    assert (view["event_type"], purchase["event_type"]) == ("view", "purchase")
    assert view["event_ts"] == datetime(2026, 1, 2, 3, 4, 5)
    assert view["event_date"].isoformat() == "2026-01-02"
    assert (view["raw_id"], view["source"]) == ("ann", "shop")


def test_a_row_without_a_readable_sequence_has_its_place_in_the_file(cleaned):
    rows = list(cleaned.values())
    assert cleaned["{}"]["sequence"] == rows.index(cleaned["{}"])
    last = cleaned[str({"sequence": "x"})]
    assert last["sequence"] == rows.index(last)


def test_a_column_that_is_not_mapped_is_null(cleaned):
    row = cleaned["{}"]
    assert (row["system"], row["browser"], row["region"]) == (None, None, None)
