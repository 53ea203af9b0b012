"""What each source names, for worlds of a few items."""

from datetime import datetime

import faiss
import numpy as np
import pytest
from scipy import sparse

from profile_lib.errors import InputError
from profile_lib.recommend.candidates.buy_again import BuyAgain, estimate_repeats
from profile_lib.recommend.candidates.factors import Factors
from profile_lib.recommend.candidates.interest_mapping import normalise_rows
from profile_lib.recommend.candidates.item_to_item import ItemToItem, neighbour_matrix
from profile_lib.recommend.candidates.nearest_items import InterestToItem, build_index
from profile_lib.recommend.candidates.popular_by_context import (
    ContextPopularity,
    compute_demand,
    compute_demand_rise,
)
from profile_lib.recommend.candidates.source import MISSING
from profile_lib.recommend.candidates.stored_sources import load_sources, save_sources
from profile_lib.recommend.candidates.user_to_user import UserToUser
from tests.recommend.asked import DAY, make_requests

A, B, C, D = range(4)
SAME = np.array([[1, 0], [0, 1], [0, 0]], np.float32)  # an interest is where the items are


def test_neighbours_of_the_last_item_count_most_and_it_is_the_reason():
    near = neighbour_matrix(np.array([A, A, B]), np.array([C, D, D]), np.array([1.0, 0.5, 1.0]), 4)
    source = ItemToItem(near, decay=0.5)
    users = make_requests([A, B], [A], [])
    assert source.scores(users, k=2).toarray().tolist() == [
        [0, 0, 0.5, 1.25],
        [0, 0, 1, 0.5],
        [0, 0, 0, 0],
    ]
    assert source.scores(users, k=1).toarray()[0].tolist() == [0, 0, 0, 1.25]
    because = source.explain(users, np.array([0, 0, 1, 1]), np.array([D, C, D, B]))
    assert because.tolist() == [B, A, A, MISSING]


@pytest.mark.parametrize(
    ("similarity", "of_the_first", "of_the_second"),
    [("cosine", 2 / 2, 1 / np.sqrt(2 * 3)), ("jaccard", 2 / 2, 1 / 4), ("pearson", 1.0, -1 / 3)],
)
def test_items_of_the_users_most_alike(similarity, of_the_first, of_the_second):
    met = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 0, 1, 1]], np.float32))
    source = UserToUser(met, similarity, n_neighbours=2, max_users_per_item=9, decay=1.0)
    users = make_requests([A, B])
    found = source.scores(users, k=4).toarray()[0]
    # The first of the two met both of the user's items, and the steps of both count.
    first, second = 2 * of_the_first, of_the_second
    if similarity == "pearson":
        second = 0.0  # who is less alike than by chance is no neighbour
    np.testing.assert_allclose(found, [first + second, first, second, second], rtol=1e-6)


def test_a_user_who_met_what_neighbours_met_is_told_by_which_item():
    met = sparse.csr_array(np.array([[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 1, 0]], np.float32))
    source = UserToUser(met, "cosine", n_neighbours=3, max_users_per_item=9, decay=1.0)
    assert source.explain(make_requests([B, A]), np.array([0, 0]), np.array([C, D])).tolist() == [
        A,
        MISSING,
    ]


def test_of_those_who_met_an_item_only_the_last_are_looked_at():
    met = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], np.float32))
    source = UserToUser(met, "cosine", n_neighbours=3, max_users_per_item=2, decay=1.0)
    assert source.scores(make_requests([A]), k=4).toarray()[0][[B, C, D]].tolist() == pytest.approx(
        [1 / np.sqrt(2), 1 / np.sqrt(2), 0]
    )


def test_items_near_an_interest_exactly_and_by_a_graph():
    rng = np.random.default_rng(1)
    vectors = normalise_rows(rng.normal(size=(500, 2)))
    wanted = np.array([[1.0, 0.0], [np.nan, 0.0]])
    users = make_requests([], [], interest_vectors=wanted)
    exact = InterestToItem(build_index(vectors, approximate_search_from=1000), SAME)
    graph = InterestToItem(build_index(vectors, approximate_search_from=10), SAME)
    assert isinstance(graph.index, faiss.IndexHNSWFlat)
    best = np.sort(np.argsort(-vectors[:, 0])[:5])
    for source in (exact, graph):
        found = source.scores(users, k=5)
        assert sorted(found[[0]].indices) == best.tolist()
        assert found[[1]].nnz == 0  # no interest, no candidate


def test_a_vector_that_is_no_number_is_told():
    with pytest.raises(InputError, match="1 of 2 hold what is no number, the first that of item 1"):
        build_index(np.array([[0.0, 1.0], [np.nan, 1.0]]), approximate_search_from=10)


def test_demand_halves_with_time_and_is_told_by_context(rows):
    events = rows(
        "user_id string, item_id string, event_type string, region string, event_ts timestamp",
        *[("u", item, kind, region, at) for item, kind, region, at in [
            ("a", "view", "North", _day(10)), ("a", "purchase", None, _day(8)),
            ("a", "page", "North", _day(10)), ("b", "view", "North", _day(12)),
        ]],
    )  # fmt: skip
    items = rows("item_id string, item int", ("a", A), ("b", B))
    found = compute_demand(
        events, items, ["region"], {"view": 1.0, "purchase": 4.0}, 10 * DAY, 2.0, 1.0
    ).collect()
    assert {(r.context, r.value, r.item, r.demand, r.recent) for r in found} == {
        ("everywhere", "everywhere", A, 1 + 4 / 2, 1 + 4 / 4),
        ("region", "North", A, 1.0, 1.0),
    }  # a page says nothing, and the twelfth day is still to come


def test_the_place_counts_as_far_as_it_is_trusted():
    shares = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 0], [0.5, 0.2, 0.3]], np.float32))
    source = ContextPopularity(shares, first_row=np.array([0, 1]), trust=np.array([0.5, 1.0, 1.0]))
    users = make_requests([], [], [], contexts=[[0, -1], [0, 0], [-1, -1]])
    np.testing.assert_allclose(
        source.scores(users, k=3).toarray(),
        [[0.25, 0.6, 0.15], [0.625, 0.3, 0.075], [0.5, 0.2, 0.3]],
        rtol=1e-6,
    )  # half the first place, then a half of that beside a half of the second; everywhere


def test_where_no_context_is_known_of_the_shop_all_get_what_is_in_demand_everywhere():
    shares = sparse.csr_array(np.array([[0.5, 0.2, 0.3]], np.float32))
    source = ContextPopularity(shares, first_row=np.zeros(0, np.int64), trust=np.ones(1))
    users = make_requests([], [A], contexts=[[], []])
    assert source.scores(users, k=2).toarray().tolist() == pytest.approx(
        np.array([[0.5, 0, 0.3]] * 2), abs=1e-6
    )


def test_demand_rises_where_more_of_it_is_recent_than_usual():
    found = compute_demand_rise(
        np.array([10.0, 10.0, 0.0]), np.array([9.0, 1.0, 0.0]), np.full(3, 0.5)
    )
    np.testing.assert_allclose(found, [4 / np.sqrt(6), 0, 0], atol=1e-6)


def test_what_is_bought_again_and_after_how_many_days(rows):
    purchases = rows(
        "user_id string, item int, event_date date",
        *[(user, item, _day(day).date()) for user, item, day in [
            ("u", A, 1), ("u", A, 1), ("u", A, 11), ("v", A, 3), ("w", B, 5),
        ]],
    )  # fmt: skip
    found = estimate_repeats(purchases, prior_share=0.1, prior_count=8.0).collect()
    assert [(r.item, r.share, r.days) for r in found] == [(A, (1 + 0.8) / (2 + 8), 10.0)]


def test_what_was_bought_comes_again_when_its_days_are_over():
    source = BuyAgain(share=np.array([0.5, 0.5, 0.0, 0.1]), days=np.array([10.0, 10.0, 0.0, 10.0]))
    users = make_requests(
        [A, A, B, C, D], bought=[[1, 1, 1, 1, 0]], days_ago=[[30.0, 10.0, 5.0, 10.0, 10.0]]
    )
    found = source.scores(users, k=4).toarray()[0]
    np.testing.assert_allclose(found, [0.5, 0.5 * 0.5 * np.exp(0.5), 0, 0], rtol=1e-6)


def _day(day: int) -> datetime:
    return datetime(1970, 1, 1 + day)


def test_sources_come_back_from_a_folder_as_they_were(tmp_path):
    rng = np.random.default_rng(2)
    near = sparse.random_array((4, 4), density=0.5, rng=rng, format="csr", dtype=np.float32)
    vectors = rng.normal(size=(4, 3)).astype(np.float32)
    sources = {
        "bought together": ItemToItem(near, decay=0.6),
        "users like you": UserToUser(
            near, "cosine", n_neighbours=2, max_users_per_item=9, decay=0.9
        ),
        "factors": Factors(vectors, build_index(vectors, 9), alpha=2.0, l2=0.1),
        "your interest": InterestToItem(
            build_index(normalise_rows(rng.normal(size=(4, 2))), 2), SAME
        ),
        "popular": ContextPopularity(near, np.array([0]), np.full(4, 0.5)),
        "buy again": BuyAgain(np.full(4, 0.5), np.full(4, 7.0)),
    }
    users = make_requests(
        [A, B], interest_vectors=[[0.5, 2.0]], contexts=[[1]], bought=[[0, 1]], days_ago=[[9, 5]]
    )
    save_sources(tmp_path, sources)
    loaded = load_sources(tmp_path)
    assert list(loaded) == list(sources)
    for name, source in sources.items():
        found = loaded[name].scores(users, k=3).toarray()
        assert found.any(), name
        np.testing.assert_array_equal(found, source.scores(users, k=3).toarray(), name)
