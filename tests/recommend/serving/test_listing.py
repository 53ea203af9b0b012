"""Rows of lists: who named an item, and why, in words."""

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.fingerprint import hash_folder
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.serving.recommender import Eligibility
from profile_lib.recommend.serving.server import RecommendationServer
from tests.recommend.asked import at, profiles, recent_event
from tests.recommend.small_recommender import (
    RULES,
    TASK_WEIGHTS,
    save_small_recommender,
    small_learned,
    small_listing,
)


def told(batch, *names):
    return [tuple(row[name] for name in names) for row in batch.to_pylist()]


def test_each_row_says_who_named_the_item_and_why():
    ann = {
        "user_id": "ann",
        "user_bucket": 3,
        "recent": [recent_event(9, "view", "hat")],
        "as_of_ts": at(10),
    }
    bob = {"user_id": "bob", "regions": [("North", 1)], "recent": [recent_event(9, "view", "shoe")]}
    rows = small_listing().build_lists(profiles(ann, bob))
    assert told(rows, "user_id", "rank", "item_id", "sources") == [
        ("ann", 1, "cap", ["together", "popular"]),
        ("ann", 2, "boot", ["popular"]),
        ("ann", 3, "shoe", ["popular"]),
        ("bob", 1, "boot", ["together", "popular"]),
        ("bob", 2, "hat", ["popular"]),
    ]
    reasons = [row["reasons"] for row in rows.to_pylist()]
    assert reasons[0] == [
        {"source": "together", "item_id": "hat", "text": "because you looked at Hat"}
    ]
    assert [r["text"] for (r,) in reasons[1:]] == [
        "popular in the shop", "popular in the shop", "because you looked at Red shoe",
        "popular in North",
    ]  # fmt: skip
    first = rows.to_pylist()[0]
    assert (first["user_bucket"], first["as_of_ts"]) == (3, at(10))


def test_who_met_nothing_gets_what_is_popular_there():
    rows = small_listing().build_lists(
        profiles({"regions": [("North", 2)]}, {"regions": [("East", 9)]})
    )
    assert told(rows, "item_id") == [("boot",), ("hat",), ("cap",), ("hat",), ("boot",)]


def test_of_few_items_lists_are_short_and_of_none_empty():
    only_boots = Eligibility(np.array([False, True, False, False, False]), np.ones(5))
    rows = small_listing(only_boots).build_lists(profiles({}))
    assert told(rows, "rank", "item_id") == [(1, "boot")]
    seen = profiles({"recent": [recent_event(9, "view", "boot")]})
    assert small_listing(only_boots).build_lists(seen).num_rows == 0


def test_what_was_learned_comes_back_from_its_folder(tmp_path):
    known = small_learned()
    known.save(tmp_path / "learned")
    found = RetrievalModel.load(tmp_path / "learned")
    assert found.catalog.items.equals(known.catalog.items)
    assert (found.reason_texts, found.decay, found.feature_names) == (
        known.reason_texts,
        0.8,
        known.feature_names,
    )
    np.testing.assert_array_equal(found.interest_map, known.interest_map)
    asks = profiles(
        {"recent": [recent_event(9, "view", "hat"), recent_event(9, "search", text="hats")]}, {}
    )
    for one, other in zip(
        vars(found.reader.read_requests(asks)).values(),
        vars(known.reader.read_requests(asks)).values(),
        strict=True,
    ):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
    assert hash_folder(tmp_path / "learned") == hash_folder(tmp_path / "learned")
    known.save(tmp_path / "other" / "learned")
    (tmp_path / "other" / "learned" / "recommender.json").write_text("{}")
    assert hash_folder(tmp_path / "learned") != hash_folder(tmp_path / "other" / "learned")


def test_a_user_is_served_as_a_batch_is(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    server = RecommendationServer.load(str(tmp_path / "recommender"), TASK_WEIGHTS, RULES)
    ann = {"recent": [recent_event(9, "view", "hat")], "regions": [("North", 2)], "n_orders": 1}
    batch = server.listing.build_lists(profiles({"user_id": "bob"}, ann)).to_pylist()
    profile = profiles(ann).to_pylist()[0]
    profile["regions"] = dict(profile["regions"])  # as a row of the table has it
    profile["channels"] = profile["devices"] = None
    together = [row for row in batch if row["user_id"] == "ann"]
    alone = server.recommend(profile)
    assert [row.pop("score") for row in alone] == pytest.approx([r.pop("score") for r in together])
    assert alone == together
    assert len(alone) == 2  # a hat was met, and nothing else is known in the North


def test_who_has_no_profile_is_served_what_is_in_demand(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    server = RecommendationServer.load(str(tmp_path / "recommender"), TASK_WEIGHTS, RULES)
    found = server.recommend(None)
    assert {row["item_id"] for row in found} <= {"shoe", "boot", "hat", "cap"}
    assert {row["reasons"][0]["text"] for row in found} == {"popular in the shop"}


def test_a_recommender_that_was_changed_is_refused(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    (tmp_path / "recommender" / "retrieval" / "sources.json").write_text("[]")
    with pytest.raises(InputError, match=r"sources.json: sha256 .* was changed"):
        RecommendationServer.load(str(tmp_path / "recommender"), TASK_WEIGHTS, RULES)
