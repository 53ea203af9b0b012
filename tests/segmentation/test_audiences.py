"""Check which rules of audiences are accepted, and which users they select."""

import pytest

from profile_lib.errors import InputError
from profile_lib.segmentation.audiences import select_members
from profile_lib.spark.sql_rules import check_rule, describe_rule_errors
from profile_lib.tables import USER_PROFILES, USER_SEGMENTS

COLUMNS = USER_PROFILES.column_names() + USER_SEGMENTS.column_names()
SETTING, TABLES = "segments.audiences.x", "user_profiles and user_segments"


def refusal_of(rule: str) -> str:
    """The message of the error that a rule raises."""
    with pytest.raises(InputError) as error:
        check_rule(rule, COLUMNS, SETTING, TABLES)
    return str(error.value)


@pytest.mark.parametrize(
    "rule",
    [
        "propensities['buys'] >= 0.2 AND array_contains(next_categories.name, 'shoes') AND "
        "price_level >= 0.7",
        "RFM_SEGMENT IN ('Champions', \"Can't Lose Them\") AND NOT cluster_id <=> 3",
        "map_from_entries(categories)['pets'] > 2 or declared.gender is null",
        "last_event_ts >= timestamp '2026-01-01' - interval 7 days",
        "case when n_orders - 1 > 2 then true else price_level / 2 between 0.1 and 1e-1 end",
    ],
)
def test_a_condition_of_columns_is_accepted(rule, spark):
    check_rule(rule, COLUMNS, SETTING, TABLES)
    profiles = spark.createDataFrame([], USER_PROFILES.schema)
    segments = spark.createDataFrame([], USER_SEGMENTS.schema)
    users = profiles.join(segments.drop("as_of_ts", "model_version"), "user_id")
    assert select_members(users, rule, SETTING).isEmpty()


def test_an_unknown_column_is_refused_with_similar_ones_suggested():
    assert refusal_of("n_order > 1 and price_levl > 0.5") == (
        "segments.audiences.x: no column n_order in user_profiles and user_segments; wanted "
        "n_orders"
    )


def test_a_rule_without_a_column_is_refused():
    assert "'1 = 1' names no column of user_profiles and user_segments" in refusal_of("1 = 1")
    assert "'true' names no column" in refusal_of("true")
    assert "'' names no column" in refusal_of("")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("reflect('java.lang.System', 'exit', user_id) = ''", "found the function reflect, wanted"),
        ("user_id.java_method('a', 'b') = ''", "found the function java_method, wanted"),
        ("java_method ('a', 'b') = user_id", "found the function java_method, wanted"),
        ("n_orders > (select 1)", "no column select"),
        ("exists (select user_id from identity)", "found the function exists"),
        ("user_id in (select user_id from identity)", "no column select"),
        ("user_id in (table identity)", "no column table"),
        ("n_orders > 1; drop table x", "found '; drop table x' at character 13; wanted columns"),
        ("n_orders > 1 -- and so on", "'-- and so on' at character 14"),
        ("n_orders > 1 /* and so on */", "'/* and so on */' at character 14"),
        ("segment = 'a\\'", "at character 11"),
        ("`user_id` = ''", "at character 1"),
        ("\"reflect\"('a', 'b') = user_id", 'found the function "reflect", wanted'),
        ("rfm_segment = 'Can''t Lose Them'", "\"'t Lose Them'\" at character 20; wanted columns"),
        ("n_orders > 1 or x -> x", "no column x"),
    ],
)
def test_a_rule_that_reads_other_tables_or_has_an_effect_is_refused(rule, message):
    assert message in refusal_of(rule)


def test_a_user_for_whom_a_rule_is_null_is_not_selected(rows):
    profiles = rows("user_id string, price_level double", ("a", 0.9), ("b", 0.1), ("c", None))
    assert [r[0] for r in select_members(profiles, "price_level > 0.5", SETTING).collect()] == ["a"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("n_orders + 1", r"'n_orders \+ 1' is bigint, wanted a condition \(boolean\)"),
        ("(n_orders > 1", r"'\(n_orders > 1' cannot be computed: .*[Ss]yntax error"),
        ("size(n_orders) > 1", r"cannot be computed: \[DATATYPE_MISMATCH"),
    ],
)
def test_a_rule_that_is_not_a_condition_is_refused(rows, rule, message):
    with pytest.raises(InputError, match=message):
        select_members(rows("user_id string, n_orders long", ("a", 1)), rule, SETTING)


def test_a_rule_that_fails_on_the_rows_is_refused(rows):
    users = rows("user_id string, n_orders long", ("a", 0))
    rule = "6 / n_orders > 1"
    with (
        pytest.raises(InputError, match=r"segments.audiences.x: '6 / n_orders > 1' cannot be"),
        describe_rule_errors(rule, SETTING),
    ):
        select_members(users, rule, SETTING).collect()
