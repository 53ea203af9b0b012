"""Declared facts follow the person."""

from datetime import timedelta

from pyspark.sql import functions as F

from profile_lib.delta.store import Store
from profile_lib.pipelines.person_data import read_person_users
from profile_lib.tables import PEOPLE, USERS
from tests.shops import START
from tests.small_shop import frame


def fact(day: int, value: str | None) -> tuple:
    return (START + timedelta(days=day), value)


def user(name: str, day: int, **facts: tuple) -> tuple:
    values = {n: value for n, (_, value) in facts.items()}
    others = {n: v for n, v in values.items() if n == "income" and v is not None}
    seen = START + timedelta(days=day)
    return (name, values.get("age_band"), values.get("gender"), None, others, facts, seen)


ROWS = [
    user("ann", 5, gender=fact(1, "f"), age_band=fact(1, "18-24"), income=fact(1, "low")),
    user("anna", 2, age_band=fact(3, "25-34"), income=fact(2, None)),
    user("tablet", 0, gender=fact(9, "m")),
    user("bob", 4, gender=fact(1, "m")),
]


def write(store: Store, people: list[tuple] | None) -> None:
    store.append(USERS, frame(store, USERS, ROWS))
    if people is not None:
        store.append(PEOPLE, frame(store, PEOPLE, people))


def facts_of(users) -> dict[str, tuple]:
    rows = users.select("user_id", "age_band", "gender", F.col("attributes")["income"])
    return {row[0]: tuple(row)[1:] for row in rows.collect()}


def test_a_person_has_the_latest_facts_of_all_its_ids_but_not_those_of_a_shared_device(store):
    until = START + timedelta(days=1)
    write(store, [
        ("anna", 0, None, None, "ann", START),
        ("tablet", 1, START, until, "ann", START),
    ])  # fmt: skip
    found = read_person_users(store)
    assert facts_of(found) == {
        "ann": ("25-34", "f", None),
        "bob": (None, "m", None),
        "tablet": (None, "m", None),
    }
    (ann,) = found.where("user_id = 'ann'").collect()
    assert ann["first_seen_ts"] == START + timedelta(days=2)
    assert found.columns == USERS.column_names()
    some = read_person_users(
        store, persons=store.spark.createDataFrame([("ann",)], "user_id string")
    )
    assert facts_of(some)["ann"] == ("25-34", "f", None)
    assert "bob" not in facts_of(some)


def test_without_links_each_id_has_its_own_facts(store):
    write(store, None)
    assert facts_of(read_person_users(store))["anna"] == ("25-34", None, None)
