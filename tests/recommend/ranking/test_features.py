"""What a ranker reads of a user and an item."""

import numpy as np

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.ranking.features import compute_features, feature_names
from profile_lib.recommend.serving.requests import PROFILE_NUMBERS
from tests.recommend.asked import FixedSource, make_requests
from tests.recommend.serving.test_recommender import BOOT, CAP, GLOVE, HAT, SHOE, catalog

NAN = np.nan


def test_of_each_pair_what_its_user_its_item_and_both_tell():
    users = make_requests(
        [SHOE, HAT, SHOE],
        [],
        weights=[[1, 1, 2], []],
        bought=[[1, 0, 0], []],
        days_ago=[[9, 4, 3], []],
        profile_numbers=[[3, 1, 20.0, 0.5, NAN, NAN], [NAN] * 6],
        query_vectors=[[NAN, NAN], [0.0, 1.0]],
    )
    together, popular = np.zeros((2, 5)), np.zeros((2, 5))
    together[0, [SHOE, BOOT]] = 4, 3
    popular[0, [BOOT, GLOVE]] = 1, 2
    popular[1, CAP] = 5
    pairs = propose_candidates(
        {"together": FixedSource(together), "popular": FixedSource(popular)}, users, k=5
    )
    assert pairs.item.tolist() == [SHOE, BOOT, GLOVE, CAP]
    interest = np.array([[0.6, 0.8], [NAN, NAN]])
    found = compute_features(users, interest, pairs, catalog(), decay=0.5)
    names = feature_names(pairs.sources, size=2)
    assert found.shape == (4, len(names))
    told = {name: found[:, at] for at, name in enumerate(names)}

    def check(name, *values):
        np.testing.assert_allclose(told[name], values, rtol=1e-5, err_msg=name)

    whole = 0.25 + 0.5 + 2  # the weights of the three steps, the last one whole
    check("normalised score of together", 4 / np.sqrt(12.5), 3 / np.sqrt(12.5), 0, 0)
    check("reciprocal rank of popular", NAN, 1 / 2, 1, 1)
    check("n_sources", 1, 2, 1, 1)
    check("demand", 5, 4, 0, 2)
    check("price", 10, 20, NAN, 4)
    usual = 0.5 * 0.5 / whole  # the hat's level is a half, the shoe's is 0
    check("price_level_gap", 0 - usual, 0.5 - usual, NAN, NAN)
    check("category_share", 2.25 / whole, 2.25 / whole, 0, NAN)
    check("brand_share", 1, 0, 0, NAN)
    check("n_interactions", 2, 0, 0, 0)
    check("steps_since_interaction", 0, NAN, NAN, NAN)
    check("days_since_interaction", 3, NAN, NAN, NAN)
    check("n_purchases", 1, 0, 0, 0)
    check("last_item_similarity", 1, 1, 0, NAN)
    check("interest_similarity", 0.6, 0.6, 0, NAN)
    check("query_similarity", NAN, NAN, NAN, 1)
    check("n_steps", 3, 3, 3, 0)
    check("n_bought_steps", 1, 1, 1, 0)
    check("days_since_step", 3, 3, 3, NAN)
    check("order_value", 20, 20, 20, NAN)
    check("interest × item 0", 0.6, 0.6, 0, NAN)
    check("query × item 1", NAN, NAN, NAN, 1)
    assert set(PROFILE_NUMBERS) <= set(names)
