"""Test the rows of lists: their items, sources and reasons."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.fingerprint import hash_folder
from profile_lib.recommend.retrieval_model import RetrievalModel
from profile_lib.recommend.serving.listing import ListBuilder
from profile_lib.recommend.serving.recommender import Eligibility
from profile_lib.recommend.serving.server import RecommendationServer, empty_profile
from tests.recommend.request_rows import moment, profile_batch, recent_event
from tests.recommend.small_recommender import (
    RULES,
    TASK_WEIGHTS,
    save_small_recommender,
    small_listing,
    small_ranker,
    small_retrieval,
)

ANN = {
    "user_id": "ann",
    "user_bucket": 3,
    "recent": [recent_event(9, "view", "hat")],
    "as_of_ts": moment(10),
}
BOB = {"user_id": "bob", "regions": [("North", 1)], "recent": [recent_event(9, "view", "shoe")]}


def columns_of(batch, *names):
    return [tuple(row[name] for name in names) for row in batch.to_pylist()]


def test_a_ranker_that_reads_other_numbers_than_are_computed_is_refused():
    retrieval = small_retrieval()
    ranker = small_ranker(retrieval)
    eligible = Eligibility.all_eligible(5)
    ListBuilder.from_model(retrieval, ranker, TASK_WEIGHTS, RULES, eligible)
    fewer = replace(retrieval, sources={"popular": retrieval.sources["popular"]})
    message = "recommender: its ranker reads other numbers .*: normalised score of together, recip"
    with pytest.raises(InputError, match=message):
        ListBuilder.from_model(fewer, ranker, TASK_WEIGHTS, RULES, eligible)


def test_a_row_names_the_sources_that_propose_its_item():
    rows = small_listing().build_lists(profile_batch(ANN, BOB))
    assert columns_of(rows, "user_id", "rank", "item_id", "sources") == [
        ("ann", 1, "cap", ["together", "popular"]),
        ("ann", 2, "boot", ["popular"]),
        ("ann", 3, "shoe", ["popular"]),
        ("bob", 1, "boot", ["together", "popular"]),
        ("bob", 2, "hat", ["popular"]),
    ]
    assert columns_of(rows, "user_bucket", "as_of_ts")[0] == (3, moment(10))


def test_a_reason_names_the_item_of_the_history_or_the_users_context():
    rows = small_listing().build_lists(profile_batch(ANN, BOB)).to_pylist()
    reasons = [reason for row in rows for reason in row["reasons"]]
    assert reasons[0] == {
        "source": "together",
        "item_id": "hat",
        "text": "because you looked at Hat",
    }
    assert [reason["text"] for reason in reasons[1:]] == [
        "popular in the shop",
        "popular in the shop",
        "because you looked at Red shoe",
        "popular in North",
    ]


def test_a_user_without_history_gets_what_is_popular_in_the_region():
    profiles = profile_batch({"regions": [("North", 2)]}, {"regions": [("East", 9)]})
    rows = small_listing().build_lists(profiles)
    assert columns_of(rows, "item_id") == [("boot",), ("hat",), ("cap",), ("hat",), ("boot",)]


def test_lists_are_shorter_if_few_items_are_eligible_and_empty_if_none_is():
    only_boots = Eligibility(np.array([False, True, False, False, False]), np.ones(5))
    rows = small_listing(only_boots).build_lists(profile_batch({}))
    assert columns_of(rows, "rank", "item_id") == [(1, "boot")]
    after_boot = profile_batch({"recent": [recent_event(9, "view", "boot")]})
    assert small_listing(only_boots).build_lists(after_boot).num_rows == 0


def test_a_loaded_retrieval_model_equals_the_saved_one(tmp_path):
    saved = small_retrieval()
    saved.save(tmp_path / "retrieval")
    loaded = RetrievalModel.load(tmp_path / "retrieval")
    assert loaded.catalog.items.equals(saved.catalog.items)
    assert loaded.reason_texts == saved.reason_texts
    assert (loaded.decay, loaded.feature_names) == (0.8, saved.feature_names)
    np.testing.assert_array_equal(loaded.interest_map, saved.interest_map)
    profiles = profile_batch(
        {"recent": [recent_event(9, "view", "hat"), recent_event(9, "search", text="hats")]}, {}
    )
    expected = vars(saved.reader.read_requests(profiles))
    for name, values in vars(loaded.reader.read_requests(profiles)).items():
        if isinstance(values, np.ndarray):
            np.testing.assert_array_equal(values, expected[name])


def test_the_version_of_a_retrieval_model_changes_with_its_files(tmp_path):
    for name in ("first", "second"):
        small_retrieval().save(tmp_path / name)
    (tmp_path / "second" / "recommender.json").write_text("{}")
    assert hash_folder(tmp_path / "first") == hash_folder(tmp_path / "first")
    assert hash_folder(tmp_path / "first") != hash_folder(tmp_path / "second")


def test_a_server_gives_a_user_the_same_list_as_a_batch(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    server = RecommendationServer.load(str(tmp_path / "recommender"), TASK_WEIGHTS, RULES)
    ann = {"recent": [recent_event(9, "view", "hat")], "regions": [("North", 2)], "n_orders": 1}
    batch = server.listing.build_lists(profile_batch({"user_id": "bob"}, ann)).to_pylist()
    profile = profile_batch(ann).to_pylist()[0]
    profile["regions"] = dict(profile["regions"])  # as in a row of the table
    profile["channels"] = profile["devices"] = None
    in_batch = [row for row in batch if row["user_id"] == "ann"]
    alone = server.recommend(profile)
    scores = [row.pop("score") for row in alone]
    assert scores == pytest.approx([row.pop("score") for row in in_batch])
    assert alone == in_batch
    assert len(alone) == 2  # the North is known to like only boots and hats, and a hat was seen


def test_a_user_without_a_profile_gets_what_is_popular(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    server = RecommendationServer.load(str(tmp_path / "recommender"), TASK_WEIGHTS, RULES)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows = server.recommend(empty_profile(now))
    assert {row["item_id"] for row in rows} <= {"shoe", "boot", "hat", "cap"}
    assert {row["reasons"][0]["text"] for row in rows} == {"popular in the shop"}
    assert {row["as_of_ts"] for row in rows} == {now}


def test_a_recommender_whose_files_were_changed_is_refused(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    (tmp_path / "recommender" / "retrieval" / "sources.json").write_text("[]")
    with pytest.raises(InputError, match=r"sources.json: sha256 .* was changed"):
        RecommendationServer.load(str(tmp_path / "recommender"), TASK_WEIGHTS, RULES)
