"""The page about sources lists what the code allows, and its mappings can be read."""

import re
from pathlib import Path

import pytest
import yaml

from profile_lib.events.formats.registry import FORMATS
from profile_lib.events.mapping import SourceMapping
from profile_lib.spark.expression_tree import FUNCTIONS
from profile_lib.tables.events import EVENT_TYPES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
MINIMAL = {
    "name": "shop",
    "inputs": {"events": {"format": "csv"}},
    "columns": {"user_id": "u", "event_ts": "t", "event_type": "e"},
    "event_types": {},
}


def section(title: str) -> str:
    return re.split(rf"^#+ {title}$", PAGE, flags=re.MULTILINE)[1].split("\n#")[0]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def test_the_page_lists_exactly_the_functions_that_expressions_may_use():
    listed = section("Expressions").split("these functions:")[1].split("None of them")[0]
    assert words(listed) == FUNCTIONS


def test_the_page_has_a_section_for_each_key():
    keys = [key for key in [*SourceMapping.model_fields, "base"] if f"### {key}\n" not in PAGE]
    assert keys == []


def test_the_page_lists_each_format_event_type_and_shipped_mapping():
    assert words(section("Formats and compressions")) >= {*FORMATS.names()}
    assert words(section("event_types")) >= {*EVENT_TYPES}
    shipped = {file.stem for file in (ROOT / "conf" / "sources").glob("*.yaml")}
    names = [row.split("|")[1] for row in section("Shipped mappings").splitlines() if "|" in row]
    assert words(" ".join(names)) == shipped


@pytest.mark.parametrize("title", SourceMapping.model_fields)
def test_the_examples_of_each_key_are_ones_that_a_mapping_reads(title):
    for example in re.findall(r"```yaml\n(.*?)```", section(title), re.DOTALL):
        values = yaml.safe_load(example)
        inputs = {name: {"format": "csv"} for name in ("events", "products", "accounts", "orders")}
        columns = MINIMAL["columns"] | values.get("columns", {})
        others = {"event_inputs": {"orders": {}}} if title == "lookups" else {}
        values.pop("base", None)
        SourceMapping.model_validate(
            MINIMAL | others | {"inputs": inputs} | values | {"columns": columns}
        )
