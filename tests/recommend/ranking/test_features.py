"""Test the ranker's inputs."""

import numpy as np
import pytest

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.data.profile_columns import PROFILE_NUMBERS
from profile_lib.recommend.ranking.features import (
    compute_features,
    feature_names,
    n_vector_features,
)
from tests.recommend.request_rows import FixedSource, make_requests
from tests.recommend.small_recommender import BOOT, CAP, GLOVE, HAT, SHOE, small_catalog

NAN = np.nan
TOTAL = 0.25 + 0.5 + 2  # the decayed weights of the first user's three steps
MEAN_LEVEL = 0.5 * 0.5 / TOTAL  # the hat's price level is a half, the shoe's is 0
# Values of the first user's shoe, boot and glove, and of the second user's cap.
EXPECTED = {
    "normalised score of together": (4 / np.sqrt(12.5), 3 / np.sqrt(12.5), 0, 0),
    "reciprocal rank of popular": (NAN, 1 / 2, 1, 1),
    "n_sources": (1, 2, 1, 1),
    "demand": (5, 4, 0, 2),
    "price": (10, 20, NAN, 4),
    "price_level_gap": (0 - MEAN_LEVEL, 0.5 - MEAN_LEVEL, NAN, NAN),
    "category_share": (2.25 / TOTAL, 2.25 / TOTAL, 0, NAN),
    "brand_share": (1, 0, 0, NAN),
    "n_interactions": (2, 0, 0, 0),
    "steps_since_interaction": (0, NAN, NAN, NAN),
    "days_since_interaction": (3, NAN, NAN, NAN),
    "n_purchases": (1, 0, 0, 0),
    "last_item_similarity": (1, 1, 0, NAN),
    "interest_similarity": (0.6, 0.6, 0, NAN),
    "query_similarity": (NAN, NAN, NAN, 1),
    "n_steps": (3, 3, 3, 0),
    "n_bought_steps": (1, 1, 1, 0),
    "days_since_step": (3, 3, 3, NAN),
    "order_value": (20, 20, 20, NAN),
    "interest × item 0": (0.6, 0.6, 0, NAN),
    "query × item 1": (NAN, NAN, NAN, 1),
}


@pytest.fixture(scope="module")
def features():
    """Compute the features of four candidates, by name."""
    requests = make_requests(
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
    sources = {"together": FixedSource(together), "popular": FixedSource(popular)}
    pairs = propose_candidates(sources, requests, k=5)
    assert pairs.item.tolist() == [SHOE, BOOT, GLOVE, CAP]
    interests = np.array([[0.6, 0.8], [NAN, NAN]])
    matrix = compute_features(requests, interests, pairs, small_catalog(), decay=0.5)
    return dict(zip(feature_names(pairs.sources, size=2), matrix.T, strict=True))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_feature_has_its_value_for_each_candidate(features, name):
    np.testing.assert_allclose(features[name], EXPECTED[name], rtol=1e-5)


def test_profile_numbers_are_features_and_vectors_come_last(features):
    assert set(PROFILE_NUMBERS) <= set(features)
    assert all(name.endswith((" 0", " 1")) for name in list(features)[-n_vector_features(2) :])
