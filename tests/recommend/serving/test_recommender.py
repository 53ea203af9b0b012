"""Test which candidates are listed, in which order, and by which source."""

from dataclasses import replace

import numpy as np

from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.serving.recommender import Eligibility, ListRules, Recommender
from tests.recommend.request_rows import FixedSource, make_requests
from tests.recommend.small_recommender import BOOT, CAP, GLOVE, HAT, SHOE, small_catalog

RULES = ListRules(
    k=3, candidates_per_source=10, max_ranked=10, hide_interacted=True, hide_bought=True,
    repeatable_sources=("buy again",), relevance_weight=1.0, diversity_pool=5,
)  # fmt: skip
POPULAR = {"popular": FixedSource([[5, 4, 3, 2, 1]])}


def recommend(sources, requests, rules=RULES, eligibility=None):
    def score(_, pairs):
        return np.nan_to_num(pairs.scores).sum(axis=1)

    eligible = eligibility or Eligibility.all_eligible(5)
    return Recommender(sources, small_catalog(), score, rules, eligible).recommend(requests)


def items_of(lists, user=0):
    return lists.item[lists.user == user].tolist()


def test_items_of_the_history_are_hidden_unless_a_repeatable_source_proposes_them():
    together = FixedSource([[9, 8, 7, 0, 0], [9, 8, 7, 6, 5]], explanation=HAT)
    again = FixedSource([[0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    requests = make_requests([HAT, CAP, SHOE], [])
    lists = recommend({"bought together": together, "buy again": again}, requests)
    assert (items_of(lists, 0), items_of(lists, 1)) == ([BOOT, CAP], [SHOE, BOOT, HAT])
    assert lists.rank.tolist() == [1, 2, 1, 2, 3]
    assert lists.score.tolist() == [8, 1, 9, 8, 7]
    assert lists.reason_source.tolist() == [0, 1, 0, 0, 0]
    assert lists.reason_item.tolist() == [HAT, MISSING, HAT, HAT, HAT]
    assert lists.is_proposed.tolist() == [[True, False], [False, True]] + [[True, False]] * 3


def test_an_item_seen_but_not_bought_is_listed_if_only_bought_items_are_hidden():
    sources = {"popular": FixedSource([[5, 4, 3, 0, 0]])}
    requests = make_requests([SHOE, BOOT], bought=[[0, 1]])
    rules = replace(RULES, hide_interacted=False)
    assert items_of(recommend(sources, requests, rules)) == [SHOE, HAT]


def test_an_item_that_is_not_eligible_is_not_listed():
    eligible = Eligibility(np.array([False, True, True, False, True]), np.ones(5))
    lists = recommend(POPULAR, make_requests([]), eligibility=eligible)
    assert items_of(lists) == [BOOT, HAT, GLOVE]


def test_a_boost_multiplies_the_score():
    boosted = Eligibility(np.ones(5, bool), np.array([1, 1, 1, 3, 1]))
    lists = recommend(POPULAR, make_requests([]), eligibility=boosted)
    assert (items_of(lists), lists.score.tolist()) == ([CAP, SHOE, BOOT], [6, 5, 4])


def test_a_lower_relevance_weight_lists_different_items_first():
    sources = {"popular": FixedSource([[5.0, 4.9, 4.0, 3.9, 1.0]])}
    rules = replace(RULES, relevance_weight=0.5)
    assert items_of(recommend(sources, make_requests([]), rules)) == [SHOE, HAT, GLOVE]


def test_without_users_or_candidates_nothing_is_listed():
    no_users = recommend({"popular": FixedSource(np.zeros((0, 5)))}, make_requests())
    assert len(no_users.user) == len(no_users.item) == 0
    no_candidates = {"popular": FixedSource(np.zeros((2, 5)))}
    assert len(recommend(no_candidates, make_requests([SHOE], [])).item) == 0
