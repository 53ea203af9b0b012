"""Evidence that ids are one person is collected per pair and quarter of an hour."""

import pytest
from pyspark.sql import functions as F

from profile_lib.events.identity_links import (
    declared_links,
    link_events,
    link_facts,
    link_orders,
    make_rule,
    supersede_facts,
    withdraw_facts,
)
from profile_lib.events.mapping import LinkColumns, Times
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf
from profile_lib.tables.table import FACTS
from tests.people.link_rows import at

EVENT = (
    "user_id string, device_id string, anonymous_id string, order_id string, event_ts timestamp, "
    "ingest_ts timestamp"
)
DECLARED = f"user_id string, declared {FACTS.simpleString()}, arrived_ts timestamp"
EVENTS = (
    ("ann", "d", "a", "o1", at(0.1), at(0.2)),
    ("ann", "d", "a", None, at(0.2), at(0.1)),
    ("ann", "d", None, None, at(0.3), at(0.3)),
    ("d", "d", "a", "o1", at(5), at(5)),
    ("a", None, "a", None, at(6), at(6)),
)


def seen(links) -> list[tuple]:
    """Return the pairs with their kinds, and their times as hours."""
    names = ("run_ts", "first_ts", "last_ts", "known_ts")
    hours = [F.round((F.unix_seconds(n) - int(at(0).timestamp())) / 3600, 2) for n in names]
    pair = (F.concat_ws(" ", "user_kind", "user_id", "other_kind", "other_id"), "kind", "source")
    return sorted(tuple(row) for row in links.select(*pair, *hours).collect())


def test_a_login_is_linked_to_the_other_ids_of_its_events_and_these_to_each_other(rows):
    assert seen(link_events(rows(EVENT, *EVENTS), "shop")) == [
        ("device d anonymous a", "login", "shop", 5.0, 5.0, 5.0, 5.0),
        ("user ann anonymous a", "login", "shop", 0.0, 0.1, 0.2, 0.2),
        ("user ann device d", "login", "shop", 0.0, 0.1, 0.2, 0.2),
        ("user ann device d", "login", "shop", 0.25, 0.3, 0.3, 0.3),
    ]


def test_ids_of_the_events_of_an_order_are_linked_to_it(rows):
    links = link_orders(rows(EVENT, *EVENTS), make_rule("orders", None, False))
    assert seen(links) == [
        ("device d value o1", "rule", "orders", 5.0, 5.0, 5.0, 5.0),
        ("user ann value o1", "rule", "orders", 0.0, 0.1, 0.1, 0.2),
    ]


def test_a_login_is_linked_to_its_latest_value_of_a_fact_alone(spark):
    def declare(user: str, hours: float, value: str | None) -> tuple:
        return (user, {"card": (at(hours), value)}, at(4))

    declared = spark.createDataFrame(
        [
            declare("ann", 1, "x"),
            declare("ann", 3, "y"),
            declare("bob", 2, "x"),
            declare("cy", 2, None),
        ],
        DECLARED,
    )
    rule = make_rule("cards", "card", True)
    links = link_facts(declared, rule, lambda value: F.concat(F.lit("#"), value))
    assert seen(links) == [
        ("user ann value #x", "probable", "cards", 1.0, 1.0, 1.0, 4.0),
        ("user ann value #y", "probable", "cards", 3.0, 3.0, 3.0, 4.0),
        ("user bob value #x", "probable", "cards", 2.0, 2.0, 2.0, 4.0),
    ]
    undone = supersede_facts(links).orderBy("other_id").collect()
    assert [(row["user_id"], row["other_id"], row["undone_ts"].hour) for row in undone] == [
        ("ann", "#x", 3),
        ("ann", "#y", 1),
    ]


def test_a_withdrawn_fact_undoes_the_values_until_then(rows):
    rule = make_rule("cards", "card", False)
    past = [("ann", {"card": (at(1), "x")}, at(2)), ("bob", {"card": (at(1), "x")}, at(2))]
    links = link_facts(rows(DECLARED, *past), rule, lambda value: value)
    now = [("ann", {"card": (at(3), None)}, at(4)), ("bob", {"age": (at(3), None)}, at(4))]
    undone = withdraw_facts(links, rows(DECLARED, *now), rule)
    assert [
        (row["user_id"], row["other_id"], row["undone_ts"].hour) for row in undone.collect()
    ] == [("ann", "x", 3)]
    assert undone.drop("undone_ts").subtract(links.drop("undone_ts")).isEmpty()


def test_of_two_values_of_one_time_one_stays(rows):
    facts = [("ann", {"card": (at(1), value)}, at(2)) for value in "xy"]
    declared = rows(DECLARED, *facts)
    rule = make_rule("cards", "card", False)
    links = link_facts(declared, rule, lambda value: F.concat(F.lit("#"), value))
    undone = supersede_facts(links).collect()
    assert [(row["other_id"], row["undone_ts"] == row["last_ts"]) for row in undone] == [
        ("#y", True)
    ]


@pytest.mark.parametrize(
    ("linked_ts", "row", "first_and_undone"),
    [
        ("linked", ("2026-01-01T01:00:00Z", ""), (1, None)),
        ("linked", ("2026-01-01T01:00:00Z", "0000-00-00"), (1, None)),
        ("linked", ("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"), (1, 2)),
        ("linked", ("", ""), (9, None)),
        (None, (None, ""), (9, None)),
        (None, (None, "2026-01-01T02:00:00Z"), (None, 9)),  # later than any delivery before
    ],
    ids=["blank", "no time", "undone", "no times", "without times", "undone by a delivery"],
)
def test_a_declared_link_holds_until_the_source_undoes_it(
    spark, rows, linked_ts, row, first_and_undone
):
    columns = LinkColumns(
        input="i", user_id="a", other_id="b", linked_ts=linked_ts, undone_ts="undone"
    )
    schema = "user_id string, other_id string, linked_ts string, undone_ts string, got timestamp"
    declared = rows(schema, ("u", "v", *row, at(9)))
    if linked_ts is None:
        declared = declared.drop("linked_ts")
    with session_conf(spark, LENIENT_CONF):  # as in ingestion
        (link,) = declared_links(
            declared, columns, Times(), lambda kind, value: value, "shop", "got"
        ).collect()
    found = (link["first_ts"], link["undone_ts"])
    assert tuple(None if ts is None else ts.hour for ts in found) == first_and_undone
