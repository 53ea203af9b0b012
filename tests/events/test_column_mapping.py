"""Check that lookups are joined, columns computed and events identified."""

from collections.abc import Sequence
from datetime import datetime

import pytest
from pyspark.sql import DataFrame

from profile_lib.errors import InputError
from profile_lib.events.column_mapping import ID, IS_WANTED, LOOKUP_MATCHES, map_rows
from profile_lib.events.formats.registry import POSITION, RAW_COLUMNS, RAW_SCHEMA
from profile_lib.events.input_plan import plan_events
from profile_lib.events.mapping import SourceMapping
from profile_lib.events.readers import INDEX
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf
from tests.events.source_files import COLUMNS, write_mapping

RAW = (datetime(2026, 1, 3), "row", None, None)


Table = tuple[list[str], list[tuple]]  # names of columns, and rows


@pytest.fixture
def map_table(spark):
    """Map a table of texts by a mapping; returns what is selected, in order."""

    def frame(names: list[str], rows: list[tuple]) -> DataFrame:
        types = ", ".join(f"`{name}` string" for name in names)
        values = [(*row, "f", number, *RAW) for number, row in enumerate(rows)]
        return spark.createDataFrame(values, f"{types}, {RAW_SCHEMA}, {INDEX} int")

    def run(
        mapping: SourceMapping,
        select: list[str],
        table: Table,
        placeholder_ids: Sequence[str] = (),
        **lookups: Table,
    ) -> list:
        with session_conf(spark, LENIENT_CONF):
            plan = plan_events(spark, mapping, "events")
            found = {name: frame(*lookup) for name, lookup in lookups.items()}
            mapped = map_rows(frame(*table), plan, mapping, found, placeholder_ids)
            rows = mapped.orderBy(POSITION, INDEX).select(*select).collect()
        return [tuple(row) for row in rows]

    return run


CSV = {"format": "csv"}


def lookup_mapping(folder, *lookups: dict, **columns: str) -> SourceMapping:
    inputs = dict.fromkeys(("events", *(lookup["input"] for lookup in lookups)), CSV)
    return write_mapping(folder, inputs=inputs, lookups=list(lookups), columns=COLUMNS | columns)


EVENTS = (["who", "when", "what"], [("ann", "t", "look"), ("bob", "t", "buy"), ("cat", "t", "buy")])


def test_columns_are_computed_and_the_condition_is_noted_not_applied(map_table, tmp_path):
    mapping = write_mapping(tmp_path, inputs={"events": CSV | {"where": "what <> 'buy'"}})
    select = ["user_id", "event_type", IS_WANTED, ID]
    assert map_table(mapping, select, EVENTS) == [
        ("ann", "LOOK", True, None),
        ("bob", "BUY", False, None),
        ("cat", "BUY", False, None),
    ]


PEOPLE = {"input": "people", "join_keys": ["who"], "columns": ["city"]}


def test_a_lookup_gives_its_first_match_by_value_and_counts_them(map_table, tmp_path):
    mapping = lookup_mapping(tmp_path, PEOPLE, region="city")
    rows = [("ann", "Rome"), ("ann", "Bonn"), (" bob ", "Oslo"), ("eve", "Lima")]
    people = (["who", "city"], rows)
    assert map_table(
        mapping, ["user_id", "region", LOOKUP_MATCHES.format(0)], EVENTS, people=people
    ) == [
        ("ann", "Bonn", 2),
        ("bob", "Oslo", 1),
        ("cat", None, None),
    ]


def test_a_lookup_that_may_match_often_gives_an_event_per_match_in_order_of_values(
    map_table, tmp_path
):
    lookup = {
        "input": "basket",
        "join_keys": {"who": "owner.id"},
        "columns": {"sku": "item id", "cost": "cost"},
        "match": "many",
    }
    mapping = lookup_mapping(tmp_path, lookup, item_id="sku", price="cost")
    rows = [("ann", "b", "1"), ("ann", "a", "2"), ("ann", "a", "1"), ("bob", "c", None)]
    basket = (["owner.id", "item id", "cost"], rows)
    assert map_table(mapping, ["user_id", "item_id", "price", INDEX], EVENTS, basket=basket) == [
        ("ann", "a", "1", 1),
        ("ann", "a", "2", 2),
        ("ann", "b", "1", 3),
        ("bob", "c", None, 1),
        ("cat", None, None, None),
    ]


def test_two_lookups_of_one_input_give_different_columns(map_table, tmp_path):
    buyer = {"input": "people", "join_keys": {"who": "id"}, "columns": {"city": "city"}}
    seller = {"input": "people", "join_keys": {"what": "id"}, "columns": {"from": "city"}}
    mapping = lookup_mapping(tmp_path, buyer, seller, region="city", referrer="`from`")
    people = (["id", "city"], [("ann", "Rome"), ("buy", "Oslo")])
    select = ["region", "referrer", LOOKUP_MATCHES.format(0), LOOKUP_MATCHES.format(1)]
    assert map_table(mapping, select, EVENTS, people=people) == [
        ("Rome", None, 1, None),
        (None, "Oslo", None, 1),
        (None, "Oslo", None, 1),
    ]


def test_columns_of_events_and_lookups_may_begin_with_underscores(map_table, tmp_path):
    names = ["_match", "_best", "_key_0", "_lookup_0"]
    lookup = {"input": "people", "join_keys": ["who"], "columns": {"_index": "_match"}}
    columns = dict(zip(("item_id", "title", "brand", "query"), names, strict=True))
    events = (["who", "when", "what", *names], [("ann", "t", "look", *names)])
    people = (["who", "_match"], [("ann", "m1")])
    for match in ("one", "many"):
        mapping = lookup_mapping(tmp_path, lookup | {"match": match}, **columns, region="_index")
        found = map_table(mapping, [*columns, "region"], events, people=people)
        assert found == [(*names, "m1")]


def test_a_lookup_key_that_is_a_number_matches_a_text_of_its_digits(spark, tmp_path):
    mapping = lookup_mapping(tmp_path, PEOPLE, region="city")
    added = "'f' file, 0L position, current_timestamp() arrival, 'r' row, CAST(NULL AS STRING) p"
    plan = plan_events(spark, mapping, "events")
    with session_conf(spark, LENIENT_CONF):
        events = spark.sql(f"SELECT 17850D who, 't' `when`, 'x' what, {added}, CAST(NULL AS INT)")
        events = events.toDF("who", "when", "what", *RAW_COLUMNS, INDEX)
        people = spark.createDataFrame([("17850", "Rome")], "who string, city string")
        mapped = map_rows(events, plan, mapping, {"people": people})
        assert mapped.select("region").first()[0] == "Rome"


def test_an_event_is_identified_by_all_its_id_columns_unless_they_are_empty(map_table, tmp_path):
    mapping = write_mapping(tmp_path, id_columns=["id", "line"])
    rows = [("e1", "2"), (" e1 ", None), ("", " "), (None, None), ("", "2"), ("e", "12")]
    table = (["who", "when", "what", "id", "line"], [("a", "t", "buy", *row) for row in rows])
    assert [identity for (identity,) in map_table(mapping, [ID], table)] == [
        "e1\x1f2",
        "e1\x1f",
        None,
        None,
        "\x1f2",
        "e\x1f12",
    ]


def test_a_placeholder_is_no_id_of_an_event(map_table, tmp_path):
    mapping = write_mapping(tmp_path, id_columns=["id"])
    texts = ["undefined", "Null", "0", "\t", "00000000-0000-0000-0000-000000000000", "e0"]
    table = (["who", "when", "what", "id"], [("a", "t", "buy", text) for text in texts])
    assert map_table(mapping, [ID], table, placeholder_ids=["undefined", "null", "0"]) == [
        *[(None,)] * 5,
        ("e0",),
    ]


def test_an_expression_that_does_not_fit_the_types_is_named_in_one_sentence(map_table, tmp_path):
    mapping = write_mapping(tmp_path, columns=COLUMNS | {"price": "date_add(what, who[0])"})
    with pytest.raises(InputError) as error:
        map_table(mapping, ["user_id"], EVENTS)
    assert str(error.value).startswith("shop.columns.price: [")
    assert "\n" not in str(error.value)
