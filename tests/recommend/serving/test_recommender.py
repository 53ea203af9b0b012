"""Lists: what is hidden, what is offered, and who spoke for what."""

import numpy as np
import pyarrow as pa
import pytest

from profile_lib.recommend.candidates.source import MISSING
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.serving.recommender import Eligibility, ListRules, Recommender
from tests.recommend.asked import FixedSource, make_requests

SHOE, BOOT, HAT, CAP, GLOVE = range(5)
RULES = ListRules(
    k=3, candidates_per_source=10, max_ranked=10, hide_interacted=True, hide_bought=True, repeatable_sources=("buy again",),
    relevance_weight=1.0, diversity_pool=5,
)  # fmt: skip


def catalog(**changes):
    columns = {
        "item_id": ["shoe", "boot", "hat", "cap", "glove"],
        "title": ["Red shoe", "Boot", "Hat", "Cap", None],
        "category": ["feet", "feet", "head", "head", None],
        "brand": ["x", "y", "x", None, None],
        "price": [10.0, 20.0, 5.0, 4.0, None],
        "price_level": [0.0, 0.5, 0.5, 0.0, None],
        "demand": [5.0, 4.0, 3.0, 2.0, 0.0],
        "vector": [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]],
    }
    return Catalog(pa.table(columns | changes))


def recommender(sources, rules=RULES, eligibility=None):
    def score(asked, pairs):
        return np.nan_to_num(pairs.scores).sum(axis=1)

    return Recommender(sources, catalog(), score, rules, eligibility or Eligibility.all_eligible(5))


def listed(lists, user=0):
    return lists.item[lists.user == user].tolist()


def test_what_was_met_is_hidden_unless_it_is_to_be_bought_again():
    together = FixedSource([[9, 8, 7, 0, 0], [9, 8, 7, 6, 5]], because=HAT)
    again = FixedSource([[0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    users = make_requests([HAT, CAP, SHOE], [])
    lists = recommender({"bought together": together, "buy again": again}).recommend(users)
    assert (listed(lists, 0), listed(lists, 1)) == ([BOOT, CAP], [SHOE, BOOT, HAT])
    assert lists.rank.tolist() == [1, 2, 1, 2, 3]
    assert lists.score.tolist() == [8, 1, 9, 8, 7]
    assert lists.reason_source.tolist() == [0, 1, 0, 0, 0]
    assert lists.reason_item.tolist() == [HAT, MISSING, HAT, HAT, HAT]
    assert lists.is_proposed.tolist() == [[True, False], [False, True]] + [[True, False]] * 3


def test_what_was_only_seen_may_be_listed_where_only_bought_items_are_hidden():
    rules = ListRules(**{**vars(RULES), "hide_interacted": False})
    says = {"popular": FixedSource([[5, 4, 3, 0, 0]])}
    users = make_requests([SHOE, BOOT], bought=[[0, 1]])
    assert listed(recommender(says, rules).recommend(users)) == [SHOE, HAT]


def test_what_is_not_offered_is_not_listed():
    says = {"popular": FixedSource([[5, 4, 3, 2, 1]])}
    offers = Eligibility(np.array([False, True, True, False, True]), np.ones(5))
    lists = recommender(says, eligibility=offers).recommend(make_requests([]))
    assert listed(lists) == [BOOT, HAT, GLOVE]


def test_what_the_shop_boosts_stands_higher():
    says = {"popular": FixedSource([[5, 4, 3, 2, 1]])}
    offers = Eligibility(np.ones(5, bool), np.array([1, 1, 1, 3, 1]))
    lists = recommender(says, eligibility=offers).recommend(make_requests([]))
    assert (listed(lists), lists.score.tolist()) == ([CAP, SHOE, BOOT], [6, 5, 4])


def test_a_list_of_many_kinds_takes_the_next_kind_first():
    rules = ListRules(**{**vars(RULES), "relevance_weight": 0.5})
    says = {"popular": FixedSource([[5.0, 4.9, 4.0, 3.9, 1.0]])}
    assert listed(recommender(says, rules).recommend(make_requests([]))) == [SHOE, HAT, GLOVE]


def test_of_nothing_nothing_is_listed():
    says = {"popular": FixedSource(np.zeros((0, 5)))}
    lists = recommender(says).recommend(make_requests())
    assert len(lists.user) == len(lists.item) == 0
    says = {"popular": FixedSource(np.zeros((2, 5)))}
    assert len(recommender(says).recommend(make_requests([SHOE], [])).item) == 0


@pytest.mark.parametrize("column", ["price_level", "title"])
def test_a_catalogue_comes_back_from_its_folder(column, tmp_path):
    catalog().save(tmp_path)
    found = Catalog.load(tmp_path)
    assert found.items.equals(catalog().items)
    assert found.item_index["hat"] == HAT
    assert found.category.tolist() == [0, 0, 1, 1, -1]
    np.testing.assert_array_equal(found.vectors, catalog().vectors)
