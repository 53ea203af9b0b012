"""Evidence that ids are one person is collected per pair and quarter of an hour."""

from pyspark.sql import functions as F

from profile_lib.events.identity_links import (
    link_events,
    link_facts,
    link_orders,
    make_rule,
    supersede_facts,
)
from profile_lib.tables.table import FACTS
from tests.people.link_rows import at

EVENT = (
    "user_id string, device_id string, anonymous_id string, order_id string, event_ts timestamp, "
    "ingest_ts timestamp"
)
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
        return (user, {"card": (at(hours), value)})

    declared = spark.createDataFrame(
        [
            declare("ann", 1, "x"),
            declare("ann", 3, "y"),
            declare("bob", 2, "x"),
            declare("cy", 2, None),
        ],
        f"user_id string, declared {FACTS.simpleString()}",
    )
    rule = make_rule("cards", "card", True)
    links = link_facts(declared, rule, lambda value: F.concat(F.lit("#"), value))
    assert seen(links) == [
        ("user ann value #x", "probable", "cards", 1.0, 1.0, 1.0, 1.0),
        ("user ann value #y", "probable", "cards", 3.0, 3.0, 3.0, 3.0),
        ("user bob value #x", "probable", "cards", 2.0, 2.0, 2.0, 2.0),
    ]
    undone = supersede_facts(links).orderBy("other_id").collect()
    assert [(row["user_id"], row["other_id"], row["undone_ts"].hour) for row in undone] == [
        ("ann", "#x", 3),
        ("ann", "#y", 1),
    ]
