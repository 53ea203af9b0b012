"""Check that the expressions of a mapping are expanded, checked and searched for columns."""

import pytest

from profile_lib.errors import InputError
from profile_lib.events.input_plan import plan_events, plan_lookups
from tests.events.source_files import COLUMNS, write_mapping

GA = {"format": "jsonl", "params": {"column": "event_params"}}
VALUES = "string_value", "int_value", "double_value", "float_value"


def test_a_parameter_is_the_first_value_of_its_key_that_is_not_null(spark, tmp_path):
    columns = COLUMNS | {"session_hint": "upper(param( 'ga_session_id' ))"}
    plan = plan_events(
        spark, write_mapping(tmp_path, inputs={"events": GA}, columns=columns), "events"
    )
    element = "get(filter(`event_params`, p -> `p`.`key` = 'ga_session_id'), 0)"
    values = ", ".join(f"{element}.value.{name}" for name in VALUES)
    assert plan.columns["session_hint"] == f"upper(coalesce({values}))"
    fields = ", ".join(f"`{name}`: string" for name in VALUES)
    assert plan.shape.fields["event_params"].sql_type() == (
        f"array<struct<`key`: string, `value`: struct<{fields}>>>"
    )


def test_keys_and_values_of_parameters_may_lie_anywhere_in_the_array(spark, tmp_path):
    params = {"column": "a.list", "key": "k.name", "values": ["v"]}
    spec = {"format": "jsonl", "params": params, "where": "param('x') = '1'"}
    mapping = write_mapping(tmp_path, inputs={"events": spec})
    plan = plan_events(spark, mapping, "events")
    where = "coalesce(get(filter(`a`.`list`, p -> `p`.`k`.`name` = 'x'), 0).v) = '1'"
    assert plan.spec.where == where


def test_the_columns_that_are_read_are_known_by_the_key_that_needs_them(spark, tmp_path):
    spec = {
        "format": "jsonl",
        "where": "bot = 'no'",
        "unfold": {"column": "basket.items", "alias": "item"},
    }
    lookups = [{"input": "people", "join_keys": {"who": "id"}, "columns": {"city": "town"}}]
    mapping = write_mapping(
        tmp_path,
        inputs={"events": spec, "people": {"format": "csv"}},
        columns=COLUMNS | {"item_id": "item.sku", "region": "city"},
        id_columns=["eid", "line"],
        lookups=lookups,
    )
    plan = plan_events(spark, mapping, "events")
    assert {name: shape.sql_type() for name, shape in plan.shape.fields.items()} == {
        "basket": "struct<`items`: array<struct<`sku`: string>>>",
        "who": "string",
        "when": "string",
        "what": "string",
        "eid": "string",
        "line": "string",
        "bot": "string",
    }
    assert plan.reads["shop.columns.user_id"] == {"who"}
    assert plan.reads["shop.columns.region"] == set()
    assert plan.reads["shop.id_columns[1]"] == {"line"}
    assert plan.reads["shop.inputs.events.where"] == {"bot"}
    (people,) = plan_lookups(spark, mapping)
    assert people.columns == {"id": "`id`", "town": "`town`"}


def test_lookups_of_one_input_are_planned_together(spark, tmp_path):
    lookups = [
        {"input": "people", "join_keys": {"who": "id"}, "columns": {"city": "town"}},
        {"input": "people", "join_keys": {"who": "mail"}, "columns": {"age": "age"}},
    ]
    inputs = {"events": {"format": "csv"}, "people": {"format": "csv"}}
    mapping = write_mapping(tmp_path, inputs=inputs, lookups=lookups)
    (people,) = plan_lookups(spark, mapping)
    assert list(people.columns) == ["age", "id", "mail", "town"]


TYPES = {
    "format": "jsonl",
    "column_types": {"params": "map<string,double>", "items": "array<strin>"},
}
REFUSED = [
    (
        {"columns": COLUMNS | {"price": "reflect('a', 'b')"}},
        "shop.columns.price: found the function reflect, wanted one that docs/sources.md lists",
    ),
    (
        {"id_columns": ["who", "rand()"]},
        "shop.id_columns[1]: found the function rand, wanted one that docs/sources.md lists; did",
    ),
    (
        {"inputs": {"events": {"format": "csv", "where": "what in (select 1)"}}},
        "shop.inputs.events.where: found in subquery, wanted columns, literals, operators, CASE",
    ),
    (
        {"columns": COLUMNS | {"price": "param('x')"}},
        "shop.columns.price: found param(…), but the input has no params; wanted params: {column: "
        "the array of keys and values} in the mapping",
    ),
    (
        {"times": {"format": "YYYY-MM-dd"}},
        "shop.times.format: 'YYYY-MM-dd' in try_to_timestamp is invalid: [INCONSISTENT_BEHAVIOR",
    ),
    (
        {"inputs": {"events": {"format": "csv"}, "users": TYPES}},
        "shop.inputs.users.column_types.items: found 'array<strin>', wanted a type of Spark SQL, "
        "such as string, double or array<struct<id: string>>",
    ),
    *[
        (
            {"inputs": {"events": {"format": "csv", "column_types": {"a": sql_type}}}},
            f"shop.inputs.events.column_types.a: found {sql_type!r}, wanted a type of Spark SQL",
        )
        for sql_type in ("", "int, x: int", "varchar(9)", "decimal(50,2)", "map<array<int>,int>")
    ],
    (
        {"inputs": {"events": {"format": "delta"}}, "rows_are_distinct": True},
        "shop.rows_are_distinct: found true for the table events, whose rows have no lasting "
        "place; wanted id_columns, which identify an event",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=lambda x: str(x)[:30])
def test_what_is_not_safe_is_refused_with_its_key(spark, tmp_path, changes, sentence):
    mapping = write_mapping(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        plan_events(spark, mapping, "events")
    assert str(error.value).startswith(sentence)
