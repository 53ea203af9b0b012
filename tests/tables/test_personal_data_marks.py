"""Columns with personal data are marked, and the page on privacy lists them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import types as T

from profile_lib.tables import TABLES, Table
from profile_lib.tables.table import TableColumn

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"
# Ids of items, of groups of users and of batches of files, which belong to no person.
OTHER_IDS = {"item_id", "cluster_id", "batch_id"}
FACTS_OF_ITEMS = ("item_statistics", "declared")
PERSONAL_NAMES = {
    "session_hint", "query", "text", "token_ids", "recent", "region", "regions", "time_zone",
    "age_band", "gender", "attributes", "declared", "inferred", "interest_vector", "propensities",
}  # fmt: skip
COLUMNS = [(table, column) for table in TABLES for column in table.columns]
KINDS = {
    "pseudonyms": ("pseudonym", "composite pseudonym", "event row"),
    "raw ids": ("raw id",),
    "texts": ("text", "event row"),
    "facts": ("fact", "event row"),
}


def is_personal(name: str) -> bool:
    return name in PERSONAL_NAMES or (name.endswith("_id") and name not in OTHER_IDS)


def names_in(column: TableColumn) -> Iterator[str]:
    """Yield the name of a column and of the fields in its type."""
    yield column.name
    types = [column.type]
    while types:
        match types.pop():
            case T.StructType(fields=fields):
                yield from (field.name for field in fields)
                types += [field.dataType for field in fields]
            case T.ArrayType(elementType=element):
                types.append(element)
            case T.MapType(valueType=value):
                types.append(value)


@pytest.mark.parametrize(
    ("table", "column"), COLUMNS, ids=lambda part: part.name if hasattr(part, "name") else None
)
def test_a_column_whose_name_or_fields_are_those_of_personal_data_is_marked(table, column):
    personal = [name for name in names_in(column) if is_personal(name)]
    is_of_items = (table.name, column.name) == FACTS_OF_ITEMS
    assert column.pii is not None or personal == [] or is_of_items


@pytest.mark.parametrize("name", ["user_id", "session_id", "event_id", "order_id"])
def test_ids_of_people_and_of_what_they_did_are_pseudonyms_in_every_table(name):
    marks = {column.pii for _, column in COLUMNS if column.name == name}
    assert marks == ({"composite pseudonym"} if name == "session_id" else {"pseudonym"})


def test_raw_ids_of_users_are_under_a_root_of_their_own():
    raw = {(t.name, c.name): t.root for t, c in COLUMNS if c.pii == "raw id"}
    assert {name: root for name, root in raw.items() if root == "identity"} == {
        ("identity", "raw_id"): "identity"
    }
    others = {column for (_, column), root in raw.items() if root == "tables"}
    assert others == {"impression_id", "request_id"}  # of lists, by the system that shows them
    assert [table.name for table in TABLES if table.root == "identity"] == ["identity"]


def personal_data_row(table: Table) -> str:
    """Return the table's line of the page, one cell per kind; '' if it holds no personal data."""
    cells = [
        ", ".join(f"`{c.name}`" for c in table.columns if c.pii in kinds)
        for kinds in KINDS.values()
    ]
    return f"| `{table.name}` | {' | '.join(cells)} |" if any(cells) else ""


def test_the_page_on_privacy_lists_the_marked_columns_of_every_table():
    head = f"| table | {' | '.join(KINDS)} |"
    expected = [head, "| --- " * (len(KINDS) + 1) + "|"]
    expected += filter(None, map(personal_data_row, TABLES))
    lines = PAGE.read_text(encoding="utf-8").split("\n")
    start = lines.index(head)
    assert lines[start : lines.index("", start)] == expected, "\n".join(expected)
