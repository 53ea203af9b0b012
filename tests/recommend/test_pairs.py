"""What a ranker reads of a user and an item."""

import numpy as np

from profile_lib.recommend.asking import NUMBERS
from profile_lib.recommend.candidates import candidates
from profile_lib.recommend.pairs import feature_names, features
from tests.recommend.asked import Says, asked
from tests.recommend.test_recommender import BOOT, CAP, GLOVE, HAT, SHOE, catalogue

NAN = np.nan


def test_of_each_pair_what_its_user_its_item_and_both_tell():
    users = asked(
        [SHOE, HAT, SHOE],
        [],
        weights=[[1, 1, 2], []],
        bought=[[1, 0, 0], []],
        days_ago=[[9, 4, 3], []],
        numbers=[[3, 1, 20.0, 0.5, NAN, NAN], [NAN] * 6],
        joining=[[NAN, NAN], [0.0, 1.0]],
    )
    together, popular = np.zeros((2, 5)), np.zeros((2, 5))
    together[0, [SHOE, BOOT]] = 4, 3
    popular[0, [BOOT, GLOVE]] = 1, 2
    popular[1, CAP] = 5
    pairs = candidates({"together": Says(together), "popular": Says(popular)}, users, k=5)
    assert pairs.item.tolist() == [SHOE, BOOT, GLOVE, CAP]
    interest = np.array([[0.6, 0.8], [NAN, NAN]])
    found = features(users, interest, pairs, catalogue(), decay=0.5)
    names = feature_names(pairs.sources, size=2)
    assert found.shape == (4, len(names))
    told = {name: found[:, at] for at, name in enumerate(names)}

    def tells(name, *values):
        np.testing.assert_allclose(told[name], values, rtol=1e-5, err_msg=name)

    whole = 0.25 + 0.5 + 2  # the weights of the three steps, the last one whole
    tells("strength of together", 4 / np.sqrt(12.5), 3 / np.sqrt(12.5), 0, 0)
    tells("place of popular", NAN, 1 / 2, 1, 1)
    tells("n_sources", 1, 2, 1, 1)
    tells("demand", 5, 4, 0, 2)
    tells("price", 10, 20, NAN, 4)
    usual = 0.5 * 0.5 / whole  # the hat's level is a half, the shoe's is 0
    tells("price_level_gap", 0 - usual, 0.5 - usual, NAN, NAN)
    tells("category_share", 2.25 / whole, 2.25 / whole, 0, NAN)
    tells("brand_share", 1, 0, 0, NAN)
    tells("times_met", 2, 0, 0, 0)
    tells("steps_since_met", 0, NAN, NAN, NAN)
    tells("days_since_met", 3, NAN, NAN, NAN)
    tells("times_bought", 1, 0, 0, 0)
    tells("like_last_item", 1, 1, 0, NAN)
    tells("like_interest", 0.6, 0.6, 0, NAN)
    tells("like_joining", NAN, NAN, NAN, 1)
    tells("n_steps", 3, 3, 3, 0)
    tells("n_bought", 1, 1, 1, 0)
    tells("days_since_step", 3, 3, 3, NAN)
    tells("order_value", 20, 20, 20, NAN)
    tells("interest × item 0", 0.6, 0.6, 0, NAN)
    tells("joining × item 1", NAN, NAN, NAN, 1)
    assert set(NUMBERS) <= set(names)
