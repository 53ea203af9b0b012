"""Results of searches in the order that suits who asked."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.source import MISSING
from profile_lib.recommend.serving.search import rerank_results
from profile_lib.recommend.serving.server import RecommendationServer
from tests.recommend.asked import profiles, recent_event
from tests.recommend.serving.test_recommender import BOOT, CAP, GLOVE, HAT, SHOE
from tests.recommend.small_recommender import small_listing

HATS = {"recent": [recent_event(9, "view", "hat")]}  # caps go with hats


def reranked(item, personalisation, profile=HATS):
    listing, item = small_listing(), np.array(item)
    asked = listing.retrieval.reader.read_requests(profiles(profile))
    user = np.zeros(len(item), np.int64)
    return item[
        rerank_results(listing, asked, pa.array(["hats"]), user, item, personalisation)
    ].tolist()


def test_how_far_results_move_is_a_setting():
    as_they_are = [GLOVE, SHOE, BOOT, CAP]
    assert reranked(as_they_are, 0) == as_they_are
    assert reranked(as_they_are, 1) == [CAP, BOOT, SHOE, GLOVE]
    assert reranked(as_they_are, 0.5) == [GLOVE, CAP, SHOE, BOOT]


def test_an_item_that_is_not_known_stays_where_it_stood():
    assert reranked([MISSING, GLOVE, MISSING, CAP], 1) == [MISSING, CAP, MISSING, GLOVE]
    assert reranked([MISSING, MISSING], 1) == [MISSING, MISSING]
    assert reranked([], 1) == []


@settings(deadline=None)
@given(
    st.lists(st.permutations([SHOE, BOOT, HAT, CAP, GLOVE]), min_size=1, max_size=4),
    st.floats(0, 1),
)
def test_requests_side_by_side_do_not_touch_each_other(requests, personalisation):
    listing = small_listing()
    asked = listing.retrieval.reader.read_requests(profiles(*[HATS] * len(requests)))
    user, item = np.repeat(np.arange(len(requests)), 5), np.concatenate(requests)
    queries = pa.array(["hats"] * len(requests))
    together = item[rerank_results(listing, asked, queries, user, item, personalisation)]
    alone = [x for request in requests for x in reranked(request, personalisation)]
    assert together.tolist() == alone


def test_a_server_takes_ids_and_refuses_to_go_too_far():
    server = RecommendationServer(small_listing())
    profile = profiles(HATS).to_pylist()[0] | {"regions": {}, "channels": {}, "devices": {}}
    assert server.rerank(profile, "hats", ["sock", "glove", "cap"], 1) == ["sock", "cap", "glove"]
    assert server.rerank(None, "never asked", ["glove", "cap"], 1) == ["cap", "glove"]
    with pytest.raises(InputError, match="personalisation: 1.5; wanted 0"):
        server.rerank(profile, "hats", ["cap"], 1.5)
