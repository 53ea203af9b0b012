"""Check what an event's id depends on: its source, its user, and its id or its row."""

import pytest

from profile_lib.events.cleaning import clean_rows
from profile_lib.events.column_mapping import ID
from profile_lib.events.formats.registry import FILE, POSITION, ROW
from profile_lib.events.identity import Pseudonyms
from profile_lib.events.keyed_ids import key_ids
from profile_lib.events.readers import INDEX
from profile_lib.spark.expression_tree import LENIENT_CONF
from profile_lib.spark.session import session_conf
from tests.events.mapped_rows import LIMITS, mapped_frame, source_mapping
from tests.events.test_identity import keyed_hash

KEY = b"key"
SAME = {"user_id": "ann", ID: "e1", ROW: "r", FILE: "f", POSITION: 0, INDEX: None}


@pytest.fixture(scope="module")
def keyed(spark, tmp_path_factory):
    """Key the ids of rows; returns the rows as dicts."""

    def key(*changes: dict, **mapping: object) -> list[dict]:
        source = source_mapping(tmp_path_factory.mktemp("mapping"), **mapping)
        numbered = [{"sequence": str(n), **change} for n, change in enumerate(changes)]
        with session_conf(spark, LENIENT_CONF):
            cleaned = clean_rows(mapped_frame(spark, numbered), source, LIMITS)
            frame = key_ids(cleaned, source, Pseudonyms([KEY]))
            return [row.asDict() for row in frame.orderBy("sequence").collect()]

    return key


def test_each_kind_of_id_is_a_keyed_hash_in_its_own_space(keyed):
    change = {"user_id": "ann", "session_hint": "s", "order_id": "o", ID: "e1"}
    (row,) = keyed(change, name="web", id_space="accounts")
    assert row["user_id"] == keyed_hash(KEY, "user\x1faccounts\x1fann")
    assert row["event_id"] == keyed_hash(KEY, "event\x1fweb\x1fann\x1fid\x1fe1\x1f")
    assert row["session_hint"] == keyed_hash(KEY, "session\x1fweb\x1fs")
    assert row["order_id"] == keyed_hash(KEY, "order\x1fweb\x1fo")
    assert row["row_id"] is None
    assert row["raw_id"] == "ann"
    assert not {"raw_session", "raw_order", ID, ROW, INDEX} & set(row)


WITH_ID, WITHOUT = SAME, SAME | {ID: None}
SAME_EVENT = {
    "its id is the same, its row and place are not": (
        WITH_ID,
        {ROW: "other", FILE: "g", POSITION: 9},
    ),
    "its row is the same, its place is not": (WITHOUT, {FILE: "g", POSITION: 9}),
    "another column is mapped": (WITHOUT, {"price": "9", "text": "new", "title": "Mug"}),
}
OTHER_EVENT = {
    "its user is another": (WITH_ID, {"user_id": "bob"}),
    "its id is another": (WITH_ID, {ID: "e2"}),
    "it is another element of the row": (WITH_ID, {INDEX: 1}),
    "its row is another": (WITHOUT, {ROW: "other"}),
    "its row has another element": (WITHOUT, {INDEX: 1}),
    "its id is the text of the row": (WITHOUT, {ID: "r"}),
}


@pytest.fixture(scope="module")
def event_ids(keyed) -> dict[str, tuple[str, str]]:
    """The event_id of a row before and after each change."""
    pairs = SAME_EVENT | OTHER_EVENT
    rows = keyed(*[row for base, change in pairs.values() for row in (base, base | change)])
    ids = [row["event_id"] for row in rows]
    return {name: (ids[2 * n], ids[2 * n + 1]) for n, name in enumerate(pairs)}


@pytest.mark.parametrize("case", SAME_EVENT)
def test_an_event_keeps_its_id_if(event_ids, case):
    before, after = event_ids[case]
    assert before == after


@pytest.mark.parametrize("case", OTHER_EVENT)
def test_an_event_has_another_id_if(event_ids, case):
    before, after = event_ids[case]
    assert before != after


def test_events_of_two_sources_with_one_id_are_two_of_one_user_if_they_share_an_id_space(keyed):
    (web,) = keyed(SAME, name="web", id_space="accounts")
    (app,) = keyed(SAME, name="app", id_space="accounts")
    (other,) = keyed(SAME, name="other")
    assert web["user_id"] == app["user_id"] != other["user_id"]
    assert len({web["event_id"], app["event_id"], other["event_id"]}) == 3


def test_equal_rows_are_different_events_by_their_place_if_the_mapping_says_so(keyed):
    first, copied, moved = (WITHOUT, WITHOUT | {POSITION: 1}, WITHOUT | {FILE: "g"})
    ids = {row["event_id"] for row in keyed(first, copied, moved, first, rows_are_distinct=True)}
    assert len(ids) == 3
    with_id = [SAME, SAME | {POSITION: 1}]
    assert len({row["event_id"] for row in keyed(*with_id, rows_are_distinct=True)}) == 1


def test_a_rejected_row_is_identified_by_its_place(keyed):
    first, second, moved = (
        row["row_id"]
        for row in keyed(
            *({"user_id": None, FILE: f, POSITION: n} for f, n in [("f", 0), ("f", 1), ("g", 0)])
        )
    )
    assert first == keyed_hash(KEY, "row\x1fshop\x1ff\x1f0\x1f")
    assert len({first, second, moved}) == 3
