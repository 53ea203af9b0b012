"""Check the history of profiles: each change once, and read as of any moment."""

from datetime import UTC, datetime

import pytest

from profile_lib.profiles.history import (
    build_history_from_changes,
    select_expired_rows,
    select_profile_as_of,
)
from profile_lib.tables import USER_PROFILES, USER_PROFILES_HISTORY
from tests.worlds import profile_row

FEED = f"{USER_PROFILES.schema.simpleString()[7:-1]}," + (
    "_change_type:string,_commit_version:bigint,_commit_timestamp:timestamp"
)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, 12, tzinfo=UTC)


def change(user: str, n_orders: int, kind: str, version: int) -> tuple[object, ...]:
    return (*profile_row(user, n_orders=n_orders), kind, version, day(version))


def summarise(frame) -> list[tuple[object, ...]]:
    rows = frame.select("user_id", "change_version", "change_type", "n_orders").collect()
    return sorted(tuple(row) for row in rows)


@pytest.fixture(scope="module")
def history(spark):
    """Ann changes in versions 1, 2 and 4 and is deleted in 5; Bob is in version 1 only."""
    feed = [
        change("ann", 0, "insert", 1),
        change("bob", 0, "insert", 1),
        change("ann", 0, "update_preimage", 2),
        change("ann", 1, "update_postimage", 2),
        change("ann", 1, "delete", 4),  # this commit deletes and inserts
        change("ann", 2, "insert", 4),
        change("ann", 2, "delete", 5),
    ]
    return build_history_from_changes(
        spark.createDataFrame(feed, f"struct<{FEED}>")
    ).localCheckpoint()


def test_a_commit_makes_one_row_per_user(history):
    assert summarise(USER_PROFILES_HISTORY.conform(history)) == [
        ("ann", 1, "upsert", 0),
        ("ann", 2, "upsert", 1),
        ("ann", 4, "upsert", 2),
        ("ann", 5, "delete", None),
        ("bob", 1, "upsert", 0),
    ]
    first = history.where("change_version = 2").first()
    assert (first["valid_from_date"], first["segment"]) == (day(2).date(), "")


@pytest.mark.parametrize(
    ("user", "moment", "n_orders"),
    [
        ("ann", datetime(2026, 1, 1, 11, 59, tzinfo=UTC), None),
        ("ann", day(1), 0),
        ("ann", day(3), 1),
        ("ann", day(4), 2),
        ("ann", day(5), None),
        ("bob", day(9), 0),
        ("cat", day(9), None),
    ],
)
def test_a_profile_as_of_a_moment_is_the_last_one_before_it(history, user, moment, n_orders):
    profile = select_profile_as_of(history, user, moment)
    assert profile.columns == USER_PROFILES.column_names()
    assert [(r["user_id"], r["n_orders"]) for r in profile.collect()] == (
        [] if n_orders is None else [(user, n_orders)]
    )


def test_a_row_expires_once_it_is_valid_at_no_retained_moment(history):
    expired = select_expired_rows(history, day(3))
    assert summarise(expired) == [("ann", 1, "upsert", None)]
    assert expired.select("is_deleted").distinct().collect() == [(True,)]
    assert summarise(select_expired_rows(history, day(9))) == [
        ("ann", 1, "upsert", None),
        ("ann", 2, "upsert", None),
        ("ann", 4, "upsert", None),
    ]
    assert summarise(select_expired_rows(history, datetime(2026, 1, 1, tzinfo=UTC))) == []
