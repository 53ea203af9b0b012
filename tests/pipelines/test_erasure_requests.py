"""Requests for erasure: files that are refused, and people that are named."""

import json

import pytest
from pyspark.sql import functions as F

from profile_lib.delta.merge import deletion_rows
from profile_lib.errors import InputError
from profile_lib.events.identity import Pseudonyms
from profile_lib.pipelines.erasure_requests import register_requests
from profile_lib.tables import ERASURES, PEOPLE, SUPPRESSED_IDS
from tests.worlds import NOW

KEY = Pseudonyms([b"key"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "user_id\n", r"wanted a file ending in \.csv, \.json, \.jsonl, \.parquet"),
        ("a.csv", "name,raw_id\nx,y\n", "of the wanted ones raw_id; wanted a column user_id"),
        ("a.csv", "ann,shop\nbob,shop\n", "of the wanted ones none of them; wanted a column"),
        ("a.csv", "user_id\nann\n", "1 of 1 rows of .* have no id, or a user_id that is no pseud"),
        ("a.jsonl", '{"raw_id": "ann", "space": null}', "1 of 1 rows .* nothing was erased"),
    ],
)
def test_a_file_without_ids_is_refused(store, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        register_requests(store, str(tmp_path / name), KEY, NOW)
    assert "ann" not in str(refusal.value)
    assert not store.exists(SUPPRESSED_IDS)


def test_a_missing_file_is_refused_and_an_empty_one_requests_nobody(store, tmp_path):
    with pytest.raises(InputError, match="is missing or is no csv file"):
        register_requests(store, str(tmp_path / "none.csv"), KEY, NOW)
    (tmp_path / "a.csv").write_text("user_id\n")
    assert register_requests(store, str(tmp_path / "a.csv"), KEY, NOW) == 0
    assert not store.exists(ERASURES)


def test_raw_ids_and_pseudonyms_are_people_of_one_request_and_repeating_it_adds_nothing(
    store, tmp_path
):
    hashed = KEY.hash_id(F.lit("user"), F.lit("shop"), F.lit("ann"))
    ann = KEY.join_key(store.spark.range(1)).select(hashed).first()[0]
    lines = [{"raw_id": " ann", "space": "shop"}, {"user_id": ann}, {"user_id": "0" * 64}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for _ in range(2):
        assert register_requests(store, str(tmp_path / "a.jsonl"), KEY, NOW) == 2
    pending = store.read(ERASURES).collect()
    assert {row["user_id"] for row in pending} == {ann, "0" * 64}
    assert len({row["request"] for row in pending}) == 1
    assert store.read(SUPPRESSED_IDS).count() == 2


def test_a_person_of_several_ids_is_the_same_request_also_when_the_links_are_gone(store, tmp_path):
    ids = [name * 64 for name in "abc"]
    linked = [(other, 0, None, None, ids[0], NOW) for other in ids[1:]]
    store.append(PEOPLE, store.spark.createDataFrame(linked, PEOPLE.schema))
    file = str(tmp_path / "linked.csv")
    (tmp_path / "linked.csv").write_text(f"user_id\n{ids[1]}\n")
    assert register_requests(store, file, KEY, NOW) == 3
    store.upsert(PEOPLE, deletion_rows(PEOPLE, store.read(PEOPLE).select(*PEOPLE.key)))
    assert register_requests(store, file, KEY, NOW) == 1
    assert store.read(ERASURES).select("request").distinct().count() == 1


def test_a_raw_id_of_a_browser_is_named_by_its_space(store, tmp_path):
    hashed = KEY.hash_id(F.lit("anonymous"), F.lit("shop"), F.lit("c-1"))
    browser = KEY.join_key(store.spark.range(1)).select(hashed).first()[0]
    (tmp_path / "a.csv").write_text("raw_id,space\nc-1,shop:anonymous\n")
    register_requests(store, str(tmp_path / "a.csv"), KEY, NOW)
    assert [row["user_id"] for row in store.read(ERASURES).collect()] == [browser]
