"""Check which SQL expressions a mapping may hold, and how all others are refused."""

import pytest

from profile_lib.errors import InputError
from profile_lib.spark.expression_tree import parse_expression

ALLOWED = [
    "upper(what)",
    "UPPER(`what`)",
    "s between 1 and 2 and not (t is null or t in ('a', 'b'))",
    "s like '/%a//%/_' escape '/'",
    "case when s like 'a%' escape '/' then 1 when s rlike '^b+$' then 2 else -1 end",
    "cast(s as decimal(10,2)) + try_cast(s as double) * s::int / 3 % 2 - -1",
    "a.`b.c`[0]['key'] <=> `Item, name`.x",
    "coalesce(filter(items, i -> i.id = 'x')[0].value.int_value, 0)",
    "transform(tags, (tag, n) -> concat(tag, n))",
    "trim(both 'x' from s) || substring(s from 1 for 2) || position('a' in s)",
    "extract(year from t) + date_part('month', t)",
    "t + interval 1 day",
    "date '2024-01-01' > to_date(s, 'dd.MM.yyyy')",
    "regexp_replace(s, '(a)(b)?', '$1-$2')",
    "regexp_extract(s, '(a)', 1)",
    "element_at(split(s, '/'), -1)",
    "s -- a comment",
    " or ".join(["s = 'x'"] * 1_500),
]


@pytest.mark.parametrize("sql", ALLOWED, ids=lambda sql: sql[:40])
def test_an_expression_of_columns_operators_and_listed_functions_is_allowed(spark, sql):
    parse_expression(spark, sql, "columns.x")


REFUSED = [
    (
        "reflect('java.lang.System', 'getenv', 'KEY')",
        "found the function reflect, wanted one that docs/sources.md lists",
    ),
    (
        "regexp_extrct(s, 'a')",
        "found the function regexp_extrct, wanted one that docs/sources.md lists; did you mean "
        "regexp_extract or regexp_",
    ),
    ("java_method('a', 'b')", "found the function java_method, wanted one that docs/sources.md"),
    ("system.builtin.upper(s)", "found the function system.builtin.upper, wanted one that docs"),
    ("rand()", "found the function rand, wanted one that docs/sources.md lists"),
    ("input_file_name()", "found the function input_file_name, wanted one that docs/sources.md"),
    ("count(*)", "found the function count, wanted one that docs/sources.md lists"),
    ("explode(a)", "found the function explode, wanted one that docs/sources.md lists"),
    ("from_json(s, 'a int')", "found the function from_json, wanted one that docs/sources.md"),
    ("(select 1)", "found scalar subquery, wanted columns, literals, operators, CASE and functi"),
    ("s in (select 1)", "found in subquery, wanted columns, literals, operators, CASE and func"),
    ("exists (select 1)", "found exists, wanted columns, literals, operators, CASE and functions"),
    ("sum(i) over ()", "found window expression, wanted columns, literals, operators, CASE and"),
    ("*", "found unresolved star, wanted columns, literals, operators, CASE and functions that"),
    ("s as x", "found alias, wanted columns, literals, operators, CASE and functions that docs"),
    (":x", "found named parameter, wanted columns, literals, operators, CASE and functions that"),
    (
        "cast(s as struct<x:int>)",
        "found a cast to struct, wanted one to a number, string, boolean, date or timestamp",
    ),
    ("", "[PARSE_EMPTY_STATEMENT] Syntax error, unexpected empty statement. in ''"),
    ("upper(s", "[PARSE_SYNTAX_ERROR] Syntax error at or near end of input: missing ')'."),
    ("s; drop table x", "[PARSE_SYNTAX_ERROR] Syntax error at or near ';'"),
    ("+".join(["s"] * 300), "the expression is nested too deeply; wanted a shorter one"),
    ("+".join(["s"] * 3_000), "[FAILED_TO_PARSE_TOO_COMPLEX] The statement, including potential"),
    ("(" * 3_000 + "s" + ")" * 3_000, "the expression is nested too deeply; wanted a shorter one"),
    ("s rlike '('", "pattern '(' is invalid: Unclosed group near index 1"),
    ("s rlike p", "the pattern of RLIKE varies by row, wanted a literal"),
    ("s like p", "the pattern of LIKE varies by row, wanted a literal"),
    (
        r"s like 'a\\'",
        r"pattern 'a\\' of LIKE is invalid: found '\\', which escapes the next chara",
    ),
    (
        "s ilike 'a/' escape '/'",
        "pattern 'a/' of LIKE is invalid: found '/', which escapes the nex",
    ),
    (
        "s ilike 'a/b' escape '/'",
        "pattern 'a/b' of LIKE is invalid: found '/', which escapes the n",
    ),
    ("s like any ('a', 'b')", "found like any, wanted columns, literals, operators, CASE and func"),
    ("a -> b", "found -> in an expression, wanted it in exists, filter, forall, map_filter, tran"),
    ("upper(x -> x)", "found -> in upper, wanted it in exists, filter, forall, map_filter, trans"),
    ("regexp_extract(s, '(a)', 2)", "found group 2 in regexp_extract; the pattern '(a)' has 1"),
    ("regexp_extract(s, 'a')", "found group 1 in regexp_extract; the pattern 'a' has 0"),
    ("regexp_replace(s, 'a', t)", "argument 3 of regexp_replace varies by row, wanted a literal"),
    ("regexp_replace(s, '(a)', '$2')", "replacement '$2' in regexp_replace is invalid: No group 2"),
    ("element_at(a, 0)", "found position 0 in element_at; positions count from 1"),
    ("element_at(a, i)", "argument 2 of element_at varies by row, wanted a literal"),
    ("try_element_at(a, i)", "argument 2 of try_element_at varies by row, wanted a literal"),
    (
        "element_at(a, -2147483648)",
        "found -2147483648 as argument 2 of element_at, wanted -1000000 to 1000000",
    ),
    ("slice(a, 1, -1)", "found -1 as argument 3 of slice, wanted 0 to 1000000"),
    ("lpad(s, 2000000000, 'x')", "found 2000000000 as argument 2 of lpad, wanted 0 to 10000"),
    ("to_date(s, 'bogus')", "'bogus' in to_date is invalid: [I"),
    ("date_format(t, 'bb')", "'bb' in date_format is invalid: "),
    ("to_utc_timestamp(t, 'Nowhere')", "'Nowhere' in to_utc_timestamp is invalid: [INVALID_TIME"),
]


@pytest.mark.parametrize(("sql", "reason"), REFUSED, ids=lambda text: text[:30])
def test_any_other_expression_is_refused_in_one_sentence(spark, sql, reason):
    with pytest.raises(InputError) as error:
        parse_expression(spark, sql, "columns.x")
    assert str(error.value).startswith(f"columns.x: {reason}")
    assert "\n" not in str(error.value)


def test_a_name_keeps_its_commas_dots_and_backticks(spark):
    tree = parse_expression(spark, "`Item, name`.`b.c` = `d``e` and f = 'x'", "columns.x")
    columns = [node.path for node in tree.walk() if node.kind == "UnresolvedAttribute"]
    assert columns == [("Item, name", "b.c"), ("d`e",), ("f",)]
