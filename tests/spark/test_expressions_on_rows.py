"""Check that no allowed expression fails on a row, whatever its values and Spark's ANSI mode."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.spark.expression_tree import FUNCTIONS, LENIENT_CONF, parse_expression
from profile_lib.spark.session import session_conf

SCHEMA = (
    "s string, t string, a array<string>, i int, l bigint, d double, m map<string,string>, "
    "ts timestamp"
)
VALUES = [
    ("12", "abc", ["1", "2"], -5, 7, 1.5, {"k": "v"}, datetime(2024, 1, 1, 10)),
    ("x", "$1\\", [], 2**31 - 1, -(2**63), float("nan"), {}, datetime(9000, 1, 1)),
    ("2024-03-01", "é", [None], 0, 0, 1e308, {"": None}, datetime(1600, 1, 1)),
    (None,) * 8,
]
EXPRESSIONS = [
    ("cast(s as int)", ["12", None, None, None]),
    ("s::date", [None, None, "2024-03-01", None]),
    ("cast(s as boolean)", [None, None, None, None]),
    ("cast(s as decimal(3,1))", ["12.0", None, None, None]),
    ("cast(d as int)", ["1", "0", "2147483647", None]),
    ("cast(d as decimal(5,2))", ["1.50", None, None, None]),
    ("i / 0", [None, None, None, None]),
    ("i div 0", [None, None, None, None]),
    ("i % 0", [None, None, None, None]),
    ("pmod(i, 0)", [None, None, None, None]),
    ("i + 1", ["-4", "-2147483648", "1", None]),
    ("-l", ["-7", "-9223372036854775808", "0", None]),
    ("try_add(i, 1)", ["-4", None, "1", None]),
    ("a[5]", [None, None, None, None]),
    ("a[i]", [None, None, None, None]),
    ("element_at(a, -3)", [None, None, None, None]),
    ("element_at(a, 1)", ["1", None, None, None]),
    ("m['zz']", [None, None, None, None]),
    ("m[t]", [None, None, None, None]),
    ("to_date(s, 'dd.MM.yyyy')", [None, None, None, None]),
    ("to_unix_timestamp(s)", [None, None, None, None]),
    ("year(s)", [None, None, "2024", None]),
    ("date_format(s, 'yyyy')", [None, None, "2024", None]),
    ("to_utc_timestamp(s, 'Europe/Berlin')", [None, None, "2024-02-29 23:00:00", None]),
    ("s = 12", ["true", None, None, None]),
    ("s > 5", ["true", None, None, None]),
    ("s between 1 and 20", ["true", None, None, None]),
    ("coalesce(i, s)", ["-5", "2147483647", "0", None]),
    ("parse_url(t, 'HOST')", [None, None, None, None]),
    ("get_json_object(t, '$.a')", [None, None, None, None]),
    ("ts > '2024'", ["true", "true", "false", None]),
]


def evaluate(spark, frame: DataFrame, expressions: list[str], ansi: str) -> list[list[str | None]]:
    """Return the values of each expression as texts, computed as ingestion does."""
    outer = {"spark.sql.ansi.enabled": ansi}
    with session_conf(spark, outer), session_conf(spark, LENIENT_CONF):
        for sql in expressions:
            parse_expression(spark, sql, "columns.x")
        columns = [F.expr(sql).cast("string").alias(str(n)) for n, sql in enumerate(expressions)]
        rows = frame.select(*columns).collect()
    return [list(values) for values in zip(*rows, strict=True)]


@pytest.fixture(scope="module", params=["true", "false"])
def results(spark, request) -> dict[str, list[str | None]]:
    """The values of all EXPRESSIONS in the rows VALUES, by expression."""
    names = [sql for sql, _ in EXPRESSIONS]
    frame = spark.createDataFrame(VALUES, SCHEMA)
    return dict(zip(names, evaluate(spark, frame, names, request.param), strict=True))


@pytest.mark.parametrize(("sql", "values"), EXPRESSIONS)
def test_an_expression_that_fails_on_a_row_is_null_there_in_both_ansi_modes(results, sql, values):
    assert results[sql] == values


# One call of each function, of values that vary by row where that is allowed.
CALLS = {
    "abs": "abs(l)", "array": "array(s, t)", "array_compact": "array_compact(a)",
    "array_contains": "array_contains(a, s)", "array_distinct": "array_distinct(a)",
    "array_except": "array_except(a, array(s))", "array_intersect": "array_intersect(a, a)",
    "array_join": "array_join(a, s, t)", "array_max": "array_max(a)", "array_min": "array_min(a)",
    "array_position": "array_position(a, t)", "array_size": "array_size(a)",
    "array_union": "array_union(a, array(t))", "arrays_overlap": "arrays_overlap(a, array(t))",
    "ascii": "ascii(s)", "between": "between(i, l, d)", "btrim": "btrim(s, t)",
    "cardinality": "cardinality(m)", "ceil": "ceil(d)", "char_length": "char_length(s)",
    "coalesce": "coalesce(s, t)", "concat": "concat(s, t)", "concat_ws": "concat_ws(s, a, t)",
    "contains": "contains(s, t)", "date_add": "date_add(ts, i)", "date_diff": "date_diff(ts, s)",
    "date_format": "date_format(ts, 'yyyy-MM-dd HH:mm:ss.SSSSSS')",
    "date_part": "date_part('week', ts)", "date_sub": "date_sub(s, i)",
    "date_trunc": "date_trunc(s, ts)", "datediff": "datediff(s, t)", "dayofweek": "dayofweek(ts)",
    "element_at": "element_at(a, -2)", "endswith": "endswith(s, t)",
    "exists": "exists(a, x -> x / 0 > 1)", "extract": "extract(second from ts)",
    "filter": "filter(a, x -> cast(x as int) > 0)", "flatten": "flatten(array(a, a))",
    "floor": "floor(d)", "forall": "forall(a, x -> x rlike 'a')",
    "from_utc_timestamp": "from_utc_timestamp(ts, 'Asia/Kathmandu')", "get": "get(a, i)",
    "get_json_object": "get_json_object(s, t)", "greatest": "greatest(i, l, d)",
    "hour": "hour(ts)", "if": "if(s = t, i, l)", "ifnull": "ifnull(s, t)",
    "initcap": "initcap(s)", "instr": "instr(s, t)", "isnotnull": "isnotnull(s)",
    "isnull": "isnull(s)", "lcase": "lcase(s)", "least": "least(i, d)", "left": "left(s, i)",
    "length": "length(s)", "ln": "ln(d)", "locate": "locate(s, t, i)", "lower": "lower(s)",
    "lpad": "lpad(s, 20, 'ab')", "ltrim": "ltrim(s)",
    "map_contains_key": "map_contains_key(m, s)",
    "map_filter": "map_filter(m, (k, v) -> k > v)", "map_keys": "map_keys(m)",
    "map_values": "map_values(m)", "md5": "md5(s)", "minute": "minute(ts)",
    "month": "month(s)", "nanvl": "nanvl(d, i)", "negative": "negative(l)",
    "nullif": "nullif(s, t)", "nvl": "nvl(s, t)", "nvl2": "nvl2(s, t, s)",
    "parse_url": "parse_url(s, 'QUERY', 'id')", "pmod": "pmod(l, i)",
    "position": "position(s, t)", "pow": "pow(d, i)",
    "regexp_extract": "regexp_extract(s, '(a)(b)?', 2)",
    "regexp_extract_all": "regexp_extract_all(s, '(.)', 1)",
    "regexp_like": "regexp_like(s, '[a-z]+')",
    "regexp_replace": "regexp_replace(s, '(.)', '$1$1')",
    "regexp_substr": "regexp_substr(s, '\\\\d+')", "replace": "replace(s, t, t)",
    "reverse": "reverse(s)", "right": "right(s, i)", "rlike": "rlike(s, '^a')",
    "round": "round(d, 2)", "rtrim": "rtrim(s)", "second": "second(s)", "sha2": "sha2(s, 256)",
    "sign": "sign(d)", "size": "size(a)", "slice": "slice(a, -2, 3)",
    "split": "split(s, '[/,]', i)", "split_part": "split_part(s, t, -1)",
    "startswith": "startswith(s, t)", "substr": "substr(s, i, i)",
    "substring": "substring(s, i)", "substring_index": "substring_index(s, t, -2)",
    "to_date": "to_date(s, 'dd.MM.yyyy')", "to_unix_timestamp": "to_unix_timestamp(s, 'yyyy')",
    "to_utc_timestamp": "to_utc_timestamp(s, 'America/New_York')",
    "transform": "transform(a, (x, n) -> x || n)", "translate": "translate(s, t, s)",
    "trim": "trim(s)", "try_add": "try_add(l, l)", "try_divide": "try_divide(d, i)",
    "try_element_at": "try_element_at(m, 'k')", "try_multiply": "try_multiply(l, i)",
    "try_subtract": "try_subtract(i, l)", "try_to_number": "try_to_number(s, '999.9')",
    "try_to_timestamp": "try_to_timestamp(s, 'yyyy-MM-dd')", "ucase": "ucase(s)",
    "unix_micros": "unix_micros(ts)", "unix_millis": "unix_millis(ts)",
    "unix_seconds": "unix_seconds(ts)", "upper": "upper(s)", "weekday": "weekday(s)",
    "when": "when(s = t, i)", "year": "year(ts)",
}  # fmt: skip
OPERATORS = [
    "l * i", "l / i", "l div i", "l % i", "s + i", "s - t", "s < t", "s = i", "d <=> i",
    "s like 'a%_'", "s rlike '.'", "s in (t, '1')", "not cast(s as boolean)", "a[i]", "m[s]",
    "cast(s as timestamp)", "cast(d as bigint)", "cast(ts as int)", "try_cast(s as double)",
    "cast(s as decimal(38,38))", "case when i > l then s else t end", "ts + interval 1 month",
    "cast(l as timestamp)", "cast(d as timestamp)", "cast(a as string)", "ts - interval 1 day",
]  # fmt: skip
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["1e999", "-", "[", "\\", "%", "$2", "2024-02-30", "http://[", '{"a":', "24:00"]
    ),
)
rows = st.tuples(
    texts,
    texts,
    st.lists(st.none() | texts, max_size=3),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.dictionaries(texts, st.none() | texts, max_size=2),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
)


def test_each_allowed_function_has_a_call():
    assert set(CALLS) == FUNCTIONS


@settings(
    max_examples=2,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(values=st.lists(rows, min_size=40, max_size=40))
def test_each_allowed_function_and_operator_has_a_value_or_null_for_any_values(spark, values):
    frame = spark.createDataFrame(values, SCHEMA)
    results = evaluate(spark, frame, [*CALLS.values(), *OPERATORS], ansi="true")
    assert {len(column) for column in results} == {40}
