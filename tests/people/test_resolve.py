"""Each kind of evidence gives its stated people; all worlds are resolved in one run."""

from datetime import timedelta

import pytest
from pyspark.sql import functions as F

from profile_lib.people.components import find_components
from profile_lib.people.evidence import PeopleLimits
from profile_lib.people.persons import add_person
from profile_lib.people.resolve import resolve_people
from profile_lib.tables import IDENTITY_LINKS
from profile_lib.tables.people import PROBABLE, RULE, SOURCE
from tests.people.link_rows import at, link

LIMITS = PeopleLimits(
    max_ids=5, max_users_per_device=2, shared_window_seconds=1800, rules=(("emails", RULE),)
)
WORLDS = {
    "own": [("u1 d1", 3), ("u1 a1", 1), ("d2 a1", 2), ("d1 a3", 4), ("d9 a3", 5)],
    "shared": [("u1 d1", 0), ("u2 d1", 0.5), ("u1 d1", 3), ("u2 d1", 9), ("u2 d2", 8)],
    "kiosk": [("u1 d1", 0), ("u2 d1", 1), ("u3 d1", 2), ("u1 d2", 3)],
    "late": [("u1 a1", 1, {"known": 20}), ("u1 a2", 2)],
    "cycle": [(p, 1, {"kind": SOURCE}) for p in ("a1 a2", "a2 a3", "a3 a1", "a1 u1")],
    "undone": [
        ("u1 u2", 1, {"kind": SOURCE, "undone": 5}),
        ("u1 a1", 2),
        ("u3 u4", 1, {"kind": SOURCE, "undone": 5}),
        ("u3 u4", 7, {"kind": SOURCE}),
    ],
    "alias": [
        ("a1 a2", 1, {"kind": SOURCE}),
        ("u1 a2", 6),
        ("u2 a3", 2),
        ("u1 u2", 9, {"kind": SOURCE}),
    ],
    "rule": [
        ("u1 v1", 1, {"kind": RULE, "source": "emails"}),
        ("u2 v1", 4, {"kind": RULE, "source": "emails"}),
        ("a1 v1", 5, {"kind": RULE, "source": "emails"}),
        ("u3 v2", 1, {"kind": PROBABLE, "source": "cards"}),
        ("u4 v2", 1, {"kind": PROBABLE, "source": "cards"}),
        ("u5 v3", 1, {"kind": RULE, "source": "emails"}),
        ("u6 v3", 1, {"kind": RULE, "source": "emails"}),
        ("u7 v3", 1, {"kind": RULE, "source": "emails"}),
    ],
    "large": [
        *[(f"u1 a{n}", n) for n in range(1, 8)],
        *[(f"u{n} u{n + 1}", n, {"kind": SOURCE}) for n in range(2, 8)],
        *[(f"d{n} d{n + 1}", n, {"kind": SOURCE}) for n in range(1, 4)],
    ],
}  # fmt: skip


def links_of(world: str) -> list[tuple]:
    named = []
    for pair, hours, *more in WORLDS[world]:
        pair = " ".join(f"{world}:{name}" for name in pair.split())
        named.append(link(pair, hours, **(more[0] if more else {})))
    return named


@pytest.fixture(scope="module")
def people(spark):
    """The rows of people by world: id, from, until, person, known."""
    rows = [row for world in WORLDS for row in links_of(world)]
    links = spark.createDataFrame(rows, IDENTITY_LINKS.schema)
    once, apart = (
        sorted(resolve_people(links, LIMITS, n).fillna("", ["left_out"]).collect())
        for n in (1_000, 3)
    )
    assert once == apart
    return once


def persons(people, world: str) -> dict[str, str]:
    """Return the person of each id that belongs to one for all time."""
    named = {}
    for row in people:
        if row["user_id"].startswith(f"{world}:") and not row["from_ts"] and not row["left_out"]:
            named[row["user_id"].partition(":")[2]] = row["person_id"].partition(":")[2]
    return named


def known(people, world: str) -> dict[str, float]:
    """Return the hours after which each id was known to be of its person."""
    return {
        row["user_id"].partition(":")[2]: (row["known_ts"] - at(0).replace(tzinfo=None))
        / timedelta(hours=1)
        for row in people
        if row["user_id"].startswith(f"{world}:")
    }


def left_out(people, world: str) -> dict[str, str]:
    """Return the rule by which each id is linked to nobody."""
    return {
        row["user_id"].partition(":")[2]: row["left_out"]
        for row in people
        if row["user_id"].startswith(f"{world}:") and row["left_out"]
    }


def test_ids_seen_with_one_login_are_its_and_so_are_those_seen_with_these(people):
    assert persons(people, "own") == dict.fromkeys(["a1", "d1", "d2", "a3"], "u1")
    assert known(people, "own") == {"a1": 1, "d1": 3, "d2": 2, "a3": 4}


def test_a_shared_device_belongs_to_each_login_around_its_own_events(people):
    second, none = timedelta(microseconds=1), None
    hours = [
        (
            row["user_id"].partition(":")[2],
            row["from_ts"] and row["from_ts"].isoformat()[5:16],
            row["until_ts"] and (row["until_ts"] - second).isoformat()[5:16],
            row["person_id"].partition(":")[2],
        )
        for row in people
        if row["user_id"].startswith("shared:")
    ]
    assert hours == [
        ("d1", "12-31T23:30", "01-01T00:15", "u1"),
        ("d1", "01-01T00:15", "01-01T01:00", "u2"),  # from the microsecond after the middle
        ("d1", "01-01T02:30", "01-01T03:30", "u1"),
        ("d1", "01-01T08:30", "01-01T09:30", "u2"),
        ("d2", none, none, "u2"),
    ]


def test_a_device_with_more_logins_than_the_bound_links_nobody(people):
    assert persons(people, "kiosk") == {"d2": "u1"}
    assert left_out(people, "kiosk") == {"d1": "kiosk"}


def test_a_link_counts_from_when_it_was_known_not_from_when_it_happened(people):
    assert known(people, "late") == {"a1": 20, "a2": 2}


def test_a_cycle_of_links_is_one_person_named_by_its_login(people):
    assert persons(people, "cycle") == dict.fromkeys(["a1", "a2", "a3"], "u1")


def test_an_undone_link_does_not_count_until_it_is_made_again(people):
    assert persons(people, "undone") == {"a1": "u1", "u4": "u3"}
    assert known(people, "undone")["u4"] == 7


def test_the_login_known_first_names_the_person_and_a_path_is_known_with_its_last_link(people):
    assert persons(people, "alias") == dict.fromkeys(["a1", "a2", "a3", "u1"], "u2")
    assert known(people, "alias") == {"a1": 9, "a2": 9, "a3": 2, "u1": 9}


def test_equal_values_link_ids_unless_they_are_probable_or_too_many_ids_have_them(people):
    assert persons(people, "rule") == {}  # three ids have v1, and three have v3


def test_a_person_keeps_the_ids_known_first_and_a_group_above_the_bound_is_left_apart(people):
    assert persons(people, "large") == {
        **dict.fromkeys(["a1", "a2", "a3", "a4"], "u1"),
        **dict.fromkeys(["d2", "d3", "d4"], "d1"),
    }
    surplus = ["a5", "a6", "a7", *(f"u{n}" for n in range(2, 9))]
    assert left_out(people, "large") == dict.fromkeys(surplus, "too_many_ids")


def test_links_of_rules_count_as_long_as_the_limits_name_the_rule(spark):
    links = spark.createDataFrame(links_of("rule"), IDENTITY_LINKS.schema)
    limits = LIMITS._replace(max_users_per_device=3)

    def resolve(*rules: tuple[str, str]) -> dict[str, str]:
        return persons(resolve_people(links, limits._replace(rules=rules)).collect(), "rule")

    by_email, by_card = {"u2": "u1", "a1": "u1", "u6": "u5", "u7": "u5"}, {"u4": "u3"}
    assert resolve(("emails", RULE), ("cards", PROBABLE)) == by_email | by_card
    assert resolve(("emails", RULE)) == by_email
    assert resolve(("emails", PROBABLE)) == by_email  # links stay when a rule changes its kind
    assert resolve() == {}


def test_components_of_a_long_chain_and_a_star_are_found(spark):
    n = 40
    chain = spark.range(n).selectExpr(
        "format_string('c%03d', id) a", "format_string('c%03d', id + 1) b"
    )
    star = spark.range(n).selectExpr("format_string('s%03d', id + 1) a", "'s000' b")
    found = (
        find_components(chain.unionByName(star)).groupBy("component").agg(F.count("*").alias("n"))
    )
    assert sorted(tuple(row) for row in found.collect()) == [("c000", n + 1), ("s000", n + 1)]


def test_an_event_gets_the_person_of_its_id_at_its_time(rows):
    people = rows(
        "user_id string, from_ts timestamp, until_ts timestamp, person_id string, "
        "known_ts timestamp",
        ("d1", at(1), at(2), "u1", at(5)),
        ("d1", at(2), at(3), "u2", at(6)),
        ("a1", None, None, "u1", at(7)),
    )
    schema = "event_id string, user_id string, event_ts timestamp"
    seen = [("d1", 0.5), ("d1", 1), ("d1", 2), ("d1", 3), ("a1", 0), ("u1", 0)]
    events = rows(schema, *[(str(n), user, at(hours)) for n, (user, hours) in enumerate(seen)])
    found = add_person(events, people).orderBy("event_id").collect()
    assert [row["person_id"] for row in found] == ["d1", "u1", "u2", "d1", "u1", "u1"]
    assert found[4]["person_known_ts"] == at(7).replace(tzinfo=None)
