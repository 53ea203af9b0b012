"""Check which rows of users, items and lookups are read, and that the others are counted."""

import json
import logging
from pathlib import Path

import pytest

from profile_lib.pipelines.event_source import Source, open_source
from tests.pipelines.raw_shop import MAPPING, shop_settings

MAPPED = {
    "inputs": {
        "events": {"format": "jsonl"},
        "users": {"format": "jsonl", "where": "age IS NOT NULL"},
        "goods": {"format": "csv"},
    },
    "items": {
        "input": "goods",
        "item_id": "sku",
        "title": "name",
        "category": "name",
        "brand": "name",
    },
    "lookups": [{"input": "goods", "join_keys": {"item_id": "sku"}, "columns": {"title": "name"}}],
    "columns": {**MAPPING["columns"], "title": "title"},
}
USER_LINES = [
    json.dumps({"user_id": "ann", "age": "25-34"}),
    json.dumps({"user_id": "ann\u00a0", "age": "25-34"}),
    json.dumps({"user_id": "undefined", "age": "35-44"}),
    json.dumps({"user_id": "bob"}),
    "torn",
    '{"user_id": "cat"',
]


def open_shop(spark, folder: Path, users: list[str], goods: list[str]) -> Source:
    """Write the users and the goods of a shop, and open it."""
    settings = shop_settings(folder, MAPPED)
    for name, lines in (("users.json", users), ("goods", goods)):
        (folder / "raw" / name).write_text("".join(f"{line}\n" for line in lines))
    return open_source(spark, settings.ingest)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_unusable_rows_of_users_items_and_lookups_are_left_out_and_counted(spark, tmp_path, caplog):
    goods = ["sku,name", "mug,Mug", "tee,Tee,5", "null,Nothing", "-,Nothing", "pen,Pen"]
    source = open_shop(spark, tmp_path, USER_LINES, goods)
    users, items = source.read_declared_users(spark), source.read_declared_items(spark)
    lookups = source.read_lookups(spark)
    assert [row["declared"]["age_band"]["value"] for row in users.collect()] == ["25-34"]
    assert {row["item_id"] for row in items.collect()} == {"mug", "pen"}
    assert {row["name"] for row in lookups["goods"].collect()} == {"Mug", "Nothing", "Pen"}
    assert warnings(caplog) == [
        "shop.users: of 5 rows, 2 cannot be read, such as not_json, and 1 have no valid id; they "
        "are left out; fix the input or its mapping",
        "shop.items: of 5 rows, 1 cannot be read, such as wrong_number_of_fields, and 2 have no "
        "valid id; they are left out; fix the input or its mapping",
        "shop.lookups.goods: of 5 rows, 1 cannot be read, such as wrong_number_of_fields; they are "
        "left out; fix the input or its mapping",
    ]


@pytest.mark.parametrize("goods", [[], ["sku,name"]], ids=["empty", "header"])
def test_inputs_without_rows_declare_nothing_and_raise_no_warning(spark, tmp_path, caplog, goods):
    source = open_shop(spark, tmp_path, [], goods)
    assert source.read_declared_users(spark).collect() == []
    assert source.read_declared_items(spark).collect() == []
    assert source.read_lookups(spark)["goods"].collect() == []
    assert warnings(caplog) == []
