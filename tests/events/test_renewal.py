"""Renewed pseudonyms are keyed hashes of the earlier ones, wherever a row holds them."""

import hashlib
import hmac
import json

import pytest

from profile_lib.events.identity import Pseudonyms
from profile_lib.events.renewal import has_pseudonyms, renew_rows
from profile_lib.tables import ITEMS, PROFILE_REFRESH_STATE, REJECTED_EVENTS, Table
from profile_lib.tables.table import INT, LONG, STRING, optional, required, user_bucket

KEYS = Pseudonyms([b"first", b"second"])
VISITS = Table(
    "visits",
    "Visits of users",
    key=("visit",),
    rebuild_instructions="write them again",
    columns=(
        required("visit", STRING, "user and time", "composite pseudonym"),
        optional("user_id", STRING, "user", "pseudonym"),
        optional("user_bucket", INT, "bucket of the user"),
        optional("n", LONG, "a number"),
    ),
)


def renewed(pseudonym: str) -> str:
    """Compute the keyed hash under the second key by Python's library."""
    return hmac.new(b"second", pseudonym.encode(), hashlib.sha256).hexdigest()


def visit_rows(rows, *values: tuple):
    return rows("visit string, user_id string, user_bucket int, n long", *values)


def test_pseudonyms_are_renewed_and_all_else_stays(rows):
    visits = visit_rows(rows, ("ab12-77-8", "ab12", 0, 5))
    (row,) = renew_rows(visits, VISITS, KEYS, 4).collect()
    assert (row["visit"], row["user_id"]) == (f"{renewed('ab12')}-77-8", renewed("ab12"))
    assert row["n"] == 5


def test_a_row_without_a_user_has_none_afterwards(rows):
    (row,) = renew_rows(visit_rows(rows, ("ab12-7", None, None, 5)), VISITS, KEYS, 4).collect()
    assert (row["user_id"], row["user_bucket"]) == (None, None)


def test_users_get_the_bucket_of_their_new_pseudonym(rows):
    visits = visit_rows(rows, *((f"{n}-7", str(n), 0, n) for n in range(20)))
    buckets = renew_rows(visits, VISITS, KEYS, 4)
    assert buckets.where(buckets["user_bucket"] != user_bucket(4)).isEmpty()
    assert buckets.select("user_bucket").distinct().count() == 4


def test_the_json_of_a_rejected_event_keeps_all_but_its_pseudonyms(spark):
    event = {
        "event_date": "2026-01-10", "event_type": "purchase", "sequence": 3,
        "text": "good \\ \"ok\"",
        "price": 2.5, "position": 1, "session_hint": "aa", "order_id": "bb",
    }  # fmt: skip
    text = json.dumps(event, separators=(",", ":"))
    values = {"row_id": "cc", "source": "s", "reasons": ["bot"], "row": text}
    rejected = spark.createDataFrame(
        [
            tuple({**values, "row": row}.get(name) for name in REJECTED_EVENTS.column_names())
            for row in (text, None)
        ],
        REJECTED_EVENTS.schema.simpleString(),
    )
    with_event, without = renew_rows(rejected, REJECTED_EVENTS, KEYS, 4).collect()
    expected = event | {"session_hint": renewed("aa"), "order_id": renewed("bb")}
    assert with_event["row"] == json.dumps(expected, separators=(",", ":"))
    assert with_event["row_id"] == renewed("cc")
    assert without["row"] is None


@pytest.mark.parametrize(
    ("table", "expected"), [(REJECTED_EVENTS, True), (ITEMS, False), (PROFILE_REFRESH_STATE, False)]
)
def test_a_table_is_renewed_if_a_column_is_marked(table, expected):
    assert has_pseudonyms(table) is expected


def test_fingerprints_tell_keys_and_versions_apart_without_showing_them():
    first, second = KEYS.fingerprints
    assert Pseudonyms([b"first"]).fingerprints == [first]
    assert Pseudonyms([b"other", b"second"]).fingerprints[1] != second
    assert "first" not in repr(KEYS) + str(KEYS)
