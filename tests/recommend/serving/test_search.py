"""Test how search results are reordered to suit the user."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_lib.errors import InputError
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.serving.search import rerank_results
from profile_lib.recommend.serving.server import RecommendationServer, empty_profile
from tests.recommend.request_rows import profile_batch, recent_event
from tests.recommend.small_recommender import BOOT, CAP, GLOVE, HAT, SHOE, small_listing

SEEN_A_HAT = {"recent": [recent_event(9, "view", "hat")]}  # caps go with hats


def rerank(items, personalisation):
    listing, item = small_listing(), np.array(items)
    requests = listing.retrieval.reader.read_requests(profile_batch(SEEN_A_HAT))
    user, queries = np.zeros(len(item), np.int64), pa.array(["hats"])
    return item[rerank_results(listing, requests, queries, user, item, personalisation)].tolist()


def test_personalisation_moves_results_from_the_engines_to_the_rankers_order():
    engine_order = [GLOVE, SHOE, BOOT, CAP]
    assert rerank(engine_order, 0) == engine_order
    assert rerank(engine_order, 1) == [CAP, BOOT, SHOE, GLOVE]
    assert rerank(engine_order, 0.5) == [GLOVE, CAP, SHOE, BOOT]


def test_an_unknown_item_keeps_its_rank():
    assert rerank([MISSING, GLOVE, MISSING, CAP], 1) == [MISSING, CAP, MISSING, GLOVE]
    assert rerank([MISSING, MISSING], 1) == [MISSING, MISSING]
    assert rerank([], 1) == []


@settings(deadline=None)
@given(
    st.lists(st.permutations([SHOE, BOOT, HAT, CAP, GLOVE]), min_size=1, max_size=4),
    st.floats(0, 1),
)
def test_searches_in_a_batch_do_not_affect_each_other(searches, personalisation):
    listing = small_listing()
    profiles = profile_batch(*[SEEN_A_HAT] * len(searches))
    requests = listing.retrieval.reader.read_requests(profiles)
    user, item = np.repeat(np.arange(len(searches)), 5), np.concatenate(searches)
    queries = pa.array(["hats"] * len(searches))
    order = rerank_results(listing, requests, queries, user, item, personalisation)
    alone = [result for search in searches for result in rerank(search, personalisation)]
    assert item[order].tolist() == alone


def test_a_server_reranks_item_ids():
    server = RecommendationServer(small_listing())
    contexts = {"regions": {}, "channels": {}, "devices": {}}
    profile = profile_batch(SEEN_A_HAT).to_pylist()[0] | contexts
    assert server.rerank(profile, "hats", ["sock", "glove", "cap"], 1) == ["sock", "cap", "glove"]
    nobody = empty_profile(datetime(2026, 1, 1, tzinfo=UTC))
    assert server.rerank(nobody, "unknown query", ["glove", "cap"], 1) == ["cap", "glove"]


def test_a_personalisation_above_one_is_refused():
    server = RecommendationServer(small_listing())
    nobody = empty_profile(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(InputError, match="personalisation: found 1.5; wanted 0"):
        server.rerank(nobody, "hats", ["cap"], 1.5)
