"""Tokens of erased people are recognised under all versions of the key."""

import pytest
from pyspark.sql import functions as F

from profile_lib.events.identity import Pseudonyms
from profile_lib.events.renewal import renew_rows
from profile_lib.events.suppression import (
    build_tokens,
    list_raw_ids,
    mark_suppressed,
    select_suppressed_ids,
)
from profile_lib.tables import SUPPRESSED_IDS

FIRST, BOTH = Pseudonyms([b"one"]), Pseudonyms([b"one", b"two"])


def hash_users(frame, pseudonyms: Pseudonyms):
    user_id = pseudonyms.hash_id(F.lit("user"), F.lit("shop"), F.col("raw_id"))
    return pseudonyms.join_key(frame).select(user_id.alias("user_id"))


@pytest.mark.parametrize("suppressed_before_rotation", [True, False])
def test_a_person_is_recognised_whether_suppressed_before_a_rotation_or_after_it(
    rows, suppressed_before_rotation
):
    ann = rows("raw_id string", ("ann",))
    if suppressed_before_rotation:
        tokens = build_tokens(hash_users(ann, FIRST), FIRST)
        tokens = renew_rows(tokens, SUPPRESSED_IDS, BOTH, 1)
    else:
        tokens = build_tokens(hash_users(ann, BOTH), BOTH)
    users = rows("raw_id string", ("ann",), ("ann",), ("bob",), (None,))
    found = select_suppressed_ids(users, "shop", BOTH, tokens).collect()
    assert [row["raw_id"] for row in found] == ["ann"]
    assert select_suppressed_ids(users, "another space", BOTH, tokens).isEmpty()


def test_an_id_is_suppressed_only_as_the_kind_of_id_that_it_was(rows):
    cookie = FIRST.hash_id(F.lit("anonymous"), F.lit("shop"), F.col("raw_id"))
    tokens = build_tokens(
        FIRST.join_key(rows("raw_id string", ("x",))).select(cookie.alias("user_id")), FIRST
    )
    schema = "raw_id string, id_space string"
    ids = rows(schema, ("x", "shop"), ("x", "shop:device"), ("x", "shop:anonymous"))
    found = select_suppressed_ids(ids, "shop", FIRST, tokens).collect()
    assert [tuple(row) for row in found] == [("x", "shop:anonymous")]


def test_suppressed_rows_have_no_other_status_and_no_rules(rows):
    schema = "raw_id string, status string, reasons array<string>, issues array<string>"
    judged = rows(schema, ("ann", "rejected", ["a:b"], ["c:d"]), (None, "rejected", ["a:b"], []))
    marked = mark_suppressed(judged, rows("raw_id string", ("ann",)), "shop")
    assert sorted(map(tuple, marked.select("status", "reasons", "issues").collect())) == [
        ("rejected", ["a:b"], []),
        ("suppressed", [], []),
    ]


def test_rows_of_others_lose_the_devices_and_browsers_of_erased_people(rows):
    judged = rows(
        "raw_id string, id_space string, raw_device string, raw_anonymous string, device_id string,"
        " anonymous_id string, status string, reasons array<string>, issues array<string>",
        ("bob", "shop", "x", "x", "device x", "cookie x", "kept", [], []),
        ("x", "shop:anonymous", None, "x", None, "cookie x", "kept", [], []),
    )
    assert {tuple(row) for row in list_raw_ids(judged, "shop").collect()} == {
        ("bob", "shop"), ("x", "shop:anonymous"), ("x", "shop:device"), (None, "shop:device"),
    }  # fmt: skip
    erased = rows("raw_id string, id_space string", ("x", "shop:anonymous"))
    marked = mark_suppressed(judged, erased, "shop").select(
        "raw_id", "device_id", "anonymous_id", "status"
    )
    assert sorted(map(tuple, marked.collect())) == [
        ("bob", "device x", None, "kept"),
        ("x", None, None, "suppressed"),
    ]
