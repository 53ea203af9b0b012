"""Check which columns expressions refer to, and which types nested ones get."""

import pytest

from profile_lib.spark.column_shapes import Shape, find_shapes
from profile_lib.spark.expression_tree import parse_expression

SHAPES = [
    ("upper(what)", {"what": "string"}),
    ("`user.id` || `Item, name`", {"user.id": "string", "Item, name": "string"}),
    ("a.b.c + a.d", {"a": "struct<`b`: struct<`c`: string>, `d`: string>"}),
    ("tags[0]", {"tags": "array<string>"}),
    ("items[i].sku", {"items": "array<struct<`sku`: string>>", "i": "string"}),
    ("a['key'].x", {"a": "struct<`key`: struct<`x`: string>>"}),
    ("size(items)", {"items": "array<string>"}),
    ("get(items, 0).sku", {"items": "array<struct<`sku`: string>>"}),
    (
        "filter(params, p -> p.key = wanted)[0].value.int_value",
        {
            "params": "array<struct<`key`: string, `value`: struct<`int_value`: string>>>",
            "wanted": "string",
        },
    ),
    ("transform(tags, (tag, n) -> tag || n)", {"tags": "array<string>"}),
    (
        "exists(items, i -> exists(i.tags, t -> t = 'x'))",
        {"items": "array<struct<`tags`: array<string>>>"},
    ),
    ("filter(split(path, '/'), x -> x != '')", {"path": "string"}),
    (
        "element_at(array_distinct(slice(items, 1, 2)), -1).sku",
        {"items": "array<struct<`sku`: string>>"},
    ),
    ("reverse(name)", {"name": "string"}),
    ("coalesce(a.b, c)", {"a": "struct<`b`: string>", "c": "string"}),
    ("item.price * item.n", {}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "types"), SHAPES)
def test_an_expression_needs_columns_of_the_types_by_which_it_uses_them(spark, sql, types):
    root, item = Shape(), Shape()
    find_shapes(root, parse_expression(spark, sql, "columns.x"), {"item": item})
    assert {name: shape.sql_type() for name, shape in root.fields.items()} == types


def test_the_fields_that_several_expressions_need_are_joined(spark):
    root = Shape()
    item = root.at(("items",)).items()
    for sql in ("item.sku", "item.price", "items[0].sku"):
        find_shapes(root, parse_expression(spark, sql, "columns.x"), {"item": item})
    assert root.sql_type() == "struct<`items`: array<struct<`sku`: string, `price`: string>>>"
