"""Rows of lists: who named an item, and why, in words."""

import numpy as np
import pytest

from profile_lib.errors import InputError
from profile_lib.recommend.learned import Learned, version_of
from profile_lib.recommend.recommender import Offers
from profile_lib.recommend.serving import Server
from tests.recommend.asked import act, at, profiles
from tests.recommend.small_recommender import (
    RULES,
    WORTH,
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
        "recent": [act(9, "view", "hat")],
        "as_of_ts": at(10),
    }
    bob = {"user_id": "bob", "regions": [("North", 1)], "recent": [act(9, "view", "shoe")]}
    rows = small_listing().rows(profiles(ann, bob))
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
    rows = small_listing().rows(profiles({"regions": [("North", 2)]}, {"regions": [("East", 9)]}))
    assert told(rows, "item_id") == [("boot",), ("hat",), ("cap",), ("hat",), ("boot",)]


def test_of_few_items_lists_are_short_and_of_none_empty():
    only_boots = Offers(np.array([False, True, False, False, False]), np.ones(5))
    rows = small_listing(only_boots).rows(profiles({}))
    assert told(rows, "rank", "item_id") == [(1, "boot")]
    seen = profiles({"recent": [act(9, "view", "boot")]})
    assert small_listing(only_boots).rows(seen).num_rows == 0


def test_what_was_learned_comes_back_from_its_folder(tmp_path):
    known = small_learned()
    known.save(tmp_path / "learned")
    found = Learned.load(tmp_path / "learned")
    assert found.catalogue.items.equals(known.catalogue.items)
    assert (found.words, found.decay, found.numbers) == (known.words, 0.8, known.numbers)
    np.testing.assert_array_equal(found.to_texts, known.to_texts)
    asks = profiles({"recent": [act(9, "view", "hat"), act(9, "search", text="hats")]}, {})
    for one, other in zip(
        vars(found.reader.asked(asks)).values(),
        vars(known.reader.asked(asks)).values(),
        strict=True,
    ):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
    assert version_of(tmp_path / "learned") == version_of(tmp_path / "learned")
    known.save(tmp_path / "other" / "learned")
    (tmp_path / "other" / "learned" / "recommender.json").write_text("{}")
    assert version_of(tmp_path / "learned") != version_of(tmp_path / "other" / "learned")


def test_a_user_is_served_as_a_batch_is(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    server = Server.load(str(tmp_path / "recommender"), WORTH, RULES)
    ann = {"recent": [act(9, "view", "hat")], "regions": [("North", 2)], "n_orders": 1}
    batch = server.listing.rows(profiles({"user_id": "bob"}, ann)).to_pylist()
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
    server = Server.load(str(tmp_path / "recommender"), WORTH, RULES)
    found = server.recommend(None)
    assert {row["item_id"] for row in found} <= {"shoe", "boot", "hat", "cap"}
    assert {row["reasons"][0]["text"] for row in found} == {"popular in the shop"}


def test_a_recommender_that_was_changed_is_refused(tmp_path):
    save_small_recommender(tmp_path / "recommender")
    (tmp_path / "recommender" / "learned" / "sources.json").write_text("[]")
    with pytest.raises(InputError, match=r"sources.json: sha256 .* was changed"):
        Server.load(str(tmp_path / "recommender"), WORTH, RULES)
