"""Check which facts a source declares about users and items, and that the latest ones win."""

from datetime import datetime
from itertools import permutations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.events.dimensions import (
    clean_ids,
    declared_items,
    declared_users,
    item_expressions,
    user_expressions,
)
from profile_lib.events.facts import merge_facts
from profile_lib.events.mapping import ItemColumns, Times, UserColumns
from profile_lib.tables.table import FACTS

ISO_TIMES = Times()
ARRIVED = datetime(2026, 1, 10)
USER_ROWS = "id string, age string, sex string, at string, _arrival timestamp"
USERS = UserColumns(
    input="users", user_id="id", age_band="age", attributes={"user_id": "upper(sex)"}
)


def day(number: int) -> datetime:
    return datetime(2026, 1, number)


def computed(frame: DataFrame, expressions: dict[str, str]) -> DataFrame:
    """Compute the columns of a mapping, as ingestion does; the arrival stays."""
    rows = frame.select(*[F.expr(sql).alias(n) for n, sql in expressions.items()], "_arrival")
    id_name = next(iter(expressions))
    return clean_ids(rows, id_name, ["undefined"])


def read_users(
    frame: DataFrame, columns: UserColumns, times: Times = ISO_TIMES
) -> dict[str, dict[str, tuple]]:
    rows = computed(frame, user_expressions(columns))
    return {
        row.user_id: {name: tuple(fact) for name, fact in row.declared.items()}
        for row in declared_users(rows, columns, times, F.upper, "_arrival").collect()
    }


def test_a_source_declares_the_facts_of_its_mapping_as_of_their_arrival_and_no_others(rows):
    frame = rows(
        USER_ROWS,
        (" ann ", "25-34", "f", None, ARRIVED),
        ("bob", " ", None, None, ARRIVED),
        ("", "35-44", "m", None, ARRIVED),
        (None, "35-44", "m", None, ARRIVED),
    )
    assert read_users(frame, USERS) == {
        "ANN": {"age_band": (ARRIVED, "25-34"), "user_id": (ARRIVED, "F")},
        "BOB": {"age_band": (ARRIVED, None), "user_id": (ARRIVED, None)},
    }


def test_ids_of_users_and_items_are_trimmed_and_refused_as_those_of_events_are(rows):
    raw_ids = [
        "u1\u00a0", "\ufeffu2\t", "5", "Undefined", "00-00", " ", None, "u\ufffd", "u" * 2_001,
    ]  # fmt: skip
    frame = rows("id string, _arrival timestamp", *[(raw_id, ARRIVED) for raw_id in raw_ids])
    assert set(read_users(frame, UserColumns(input="users", user_id="id"))) == {"U1", "U2", "5"}
    items = ItemColumns(input="items", item_id="id", title="id", category="id", brand="id")
    declared = declared_items(computed(frame, item_expressions(items)), items, ".", "_arrival")
    assert {row["item_id"] for row in declared.collect()} == {"u1", "u2", "5"}


def test_a_partial_row_says_nothing_about_the_facts_that_it_lacks(rows):
    frame = rows(
        USER_ROWS,
        ("ann", "25-34", "f", None, day(1)),
        ("ann", " ", "m", None, day(2)),
        ("bob", None, None, None, day(2)),
    )
    partial = USERS.model_copy(update={"is_partial": True})
    assert read_users(frame, partial) == {
        "ANN": {"age_band": (day(1), "25-34"), "user_id": (day(2), "M")},
        "BOB": {},
    }


def test_of_several_rows_of_a_user_the_latest_wins_and_of_one_time_the_greatest_value(rows):
    frame = rows(
        USER_ROWS,
        ("ann", "35-44", "x", "2026-01-03", ARRIVED),
        ("ann", "18-24", "y", "2026-01-02", ARRIVED),
        ("ann", "25-34", "z", "2026-01-03", ARRIVED),
        ("ann", None, None, "2026-01-03", ARRIVED),
        ("bob", "18-24", None, "2099-01-01", ARRIVED),  # a wrong clock does not win for ever
        ("cat", "45-54", None, "yesterday", ARRIVED),
    )
    columns = UserColumns(input="users", user_id="id", age_band="age", updated_ts="at")
    assert read_users(frame, columns) == {
        "ANN": {"age_band": (day(3), "35-44")},
        "BOB": {"age_band": (ARRIVED, "18-24")},
        "CAT": {"age_band": (ARRIVED, "45-54")},
    }


def test_the_time_of_a_declaration_is_written_like_those_of_events(rows):
    frame = rows(
        USER_ROWS,
        ("ann", "18-24", None, "03.01.2026 01:30", ARRIVED),
        ("bob", "25-34", None, "2026-01-03", ARRIVED),  # in another form: the arrival counts
    )
    columns = UserColumns(input="users", user_id="id", age_band="age", updated_ts="at")
    times = Times(format="dd.MM.yyyy HH:mm", time_zone="Europe/Berlin")
    assert read_users(frame, columns, times) == {
        "ANN": {"age_band": (datetime(2026, 1, 3, 0, 30), "18-24")},
        "BOB": {"age_band": (ARRIVED, "25-34")},
    }


FACTS_BY_TIME = (
    {"age": (day(1), "18-24"), "kids": (day(1), "2")},
    {"age": (day(3), None)},  # withdrawn
    {"age": (day(2), "25-34"), "kids": (day(1), "3"), "city": (None, "paris")},
    {"city": (day(1), None)},
)


def test_facts_merge_to_the_same_map_in_any_order_and_again(spark):
    schema = ", ".join(f"{name} {FACTS.simpleString()}" for name in "abcd")
    frame = spark.createDataFrame([FACTS_BY_TIME], schema)
    merged = []
    for order in permutations("abcd"):
        facts = F.lit(None).cast(FACTS)
        for name in (*order, order[0]):
            facts = merge_facts(facts, F.col(name))
        merged.append(F.to_json(facts))
    (facts_of_all_orders,) = frame.select(F.array_distinct(F.array(*merged))).first()
    assert facts_of_all_orders == [
        '{"age":{"declared_ts":"2026-01-03T00:00:00.000Z"},'
        '"city":{"declared_ts":"2026-01-01T00:00:00.000Z"},'
        '"kids":{"declared_ts":"2026-01-01T00:00:00.000Z","value":"3"}}'
    ]


def test_a_catalog_declares_texts_and_a_price_only_if_the_mapping_has_one(rows):
    frame = rows(
        "sku string, name string, cost string, _arrival timestamp",
        ("mug", "Blue Mug", "1.012,5", ARRIVED),
        ("tee", None, "ten", ARRIVED),
        (" ", "nothing", "1", ARRIVED),
    )

    def read(**columns: str) -> list[tuple]:
        items = ItemColumns(input="items", item_id="sku", title="name", category="'all'",
                            brand="CAST(NULL AS STRING)", **columns)  # fmt: skip
        declared = declared_items(computed(frame, item_expressions(items)), items, ",", "_arrival")
        return [tuple(row.asDict().items()) for row in declared.orderBy("item_id").collect()]

    mug = [("item_id", "mug"), ("title", "Blue Mug"), ("category", "all"), ("brand", None)]
    tee = [("item_id", "tee"), ("title", None), ("category", "all"), ("brand", None)]
    ts = ("declared_ts", ARRIVED)
    assert read() == [(*mug, ts), (*tee, ts)]
    assert read(price="cost") == [(*mug, ("price", 1012.5), ts), (*tee, ("price", None), ts)]
