"""Check that users get declared facts, or the last region seen, whatever the order of batches."""

from datetime import datetime
from itertools import permutations

import pytest

from profile_lib.events.dimensions import summarise_seen_users, update_users
from profile_lib.tables import USERS

EVENT_SCHEMA = "user_id string, event_ts timestamp, region string, raw_id string"
DECLARED_SCHEMA = (
    "user_id string, age_band string, gender string, region string, attributes map<string,string>"
)
BATCHES = (
    [("ann", datetime(2026, 1, 1), "north"), ("ann", datetime(2026, 1, 2), None)],
    [("ann", datetime(2026, 1, 5), "south"), ("bob", datetime(2026, 1, 3), "east")],
    [("ann", datetime(2026, 1, 3), "west")],
)


def summarise(spark, batch):
    rows = [(*row, f"id of {row[0]}") for row in batch]
    return summarise_seen_users(spark.createDataFrame(rows, EVENT_SCHEMA))


def update_in_batches(spark, batches, declared=None):
    users = spark.createDataFrame([], USERS.schema)
    for batch in batches:
        changed = update_users(summarise(spark, batch), declared, users)
        updated = users.join(changed, "user_id", "left_anti").unionByName(changed)
        users = spark.createDataFrame(updated.collect(), USERS.schema)
    return {row["user_id"]: row.asDict() for row in users.collect()}


@pytest.mark.parametrize("order", list(permutations(range(3)))[::2], ids=str)
def test_batches_in_any_order_give_the_same_users(spark, order):
    users = update_in_batches(spark, [BATCHES[i] for i in order])
    assert users["ann"]["region"] == "south"
    assert users["ann"]["region_seen_ts"] == datetime(2026, 1, 5)
    assert users["ann"]["first_seen_ts"] == datetime(2026, 1, 1)
    assert users["bob"]["region"] == "east"


def test_a_declared_region_wins_over_any_seen_region(spark):
    facts = [("ann", "25-34", None, "home", {"kids": "2"})]
    declared = spark.createDataFrame(facts, DECLARED_SCHEMA)
    ann = update_in_batches(spark, BATCHES, declared)["ann"]
    assert (ann["region"], ann["region_seen_ts"]) == ("home", None)
    assert (ann["age_band"], ann["gender"], ann["attributes"]) == ("25-34", None, {"kids": "2"})


def test_a_batch_without_new_facts_changes_no_row(spark):
    batch = summarise(spark, BATCHES[0])
    users = update_users(batch, None, spark.createDataFrame([], USERS.schema))
    assert users.count() == 1
    stored = spark.createDataFrame(users.collect(), USERS.schema)
    assert update_users(batch, None, stored).isEmpty()
