"""Check that messages and rows of a table become raw rows with a place and a time of arrival."""

from datetime import UTC, datetime

from pyspark.sql import functions as F

from profile_lib.events.formats.json_lines import parse_json
from profile_lib.events.formats.registry import ARRIVAL, FILE, POSITION, PROBLEM, ROW
from profile_lib.events.stream_rows import message_rows, table_rows
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
KAFKA = "key binary, value binary, topic string, partition int, offset long, timestamp timestamp"


def test_a_message_is_a_row_whose_place_is_topic_partition_and_offset(spark):
    values = [b'{"uid": "ann"}', b'{"uid": "b', b"\xff\xfe", None]
    messages = [(None, value, "clicks", 3, 10 + n, NOW) for n, value in enumerate(values)]
    with session_conf(spark, LENIENT_CONF):
        raw = message_rows(spark.createDataFrame(messages, KAFKA))
        rows = parse_json(raw, {"uid": "string"}, ()).orderBy(POSITION).collect()
    assert [(row["uid"], row[PROBLEM]) for row in rows] == [
        ("ann", None),
        (None, "not_json"),
        (None, "not_json"),
        (None, "not_json"),
    ]
    assert {row[FILE] for row in rows} == {"clicks/3"}
    assert [row[POSITION] for row in rows] == [10, 11, 12, 13]
    assert {row[ARRIVAL] for row in rows} == {NOW.replace(tzinfo=None)}
    assert rows[0][ROW] == '{"uid": "ann"}'


def test_a_row_of_a_table_keeps_its_columns_and_has_a_text_of_them(rows):
    table = rows("`user.id` string, n int", ("ann", 1), ("bob", None))
    found = table_rows(table, "/tables/clicks", "query#7", NOW).orderBy("n").collect()
    assert [(row["user.id"], row["n"], row[ROW]) for row in found] == [
        ("bob", None, '{"user.id":"bob"}'),
        ("ann", 1, '{"n":1,"user.id":"ann"}'),
    ]
    assert {row[FILE] for row in found} == {"/tables/clicks#query#7"}
    assert len({row[POSITION] for row in found}) == 2
    assert {row[ARRIVAL] for row in found} == {NOW.replace(tzinfo=None)}


def test_the_text_of_a_row_does_not_depend_on_the_order_of_columns(rows):
    texts = [
        table_rows(table, "t", "query#0", NOW).select(F.col(ROW)).first()[0]
        for table in (rows("a int, b int", (1, 2)), rows("b int, a int", (2, 1)))
    ]
    assert texts == ['{"a":1,"b":2}'] * 2
