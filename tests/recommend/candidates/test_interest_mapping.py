"""Interests among the texts of items."""

import numpy as np
from sklearn.linear_model import Ridge

from profile_lib.recommend.candidates.interest_mapping import fit_interest_map, map_interests

NAN = np.nan


def test_the_map_is_what_scikit_learn_finds(spark):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    y = (x @ rng.normal(size=(3, 2)) + 0.1 * rng.normal(size=(40, 2)) + 1).astype(np.float32)
    rows = [(a.tolist(), b.tolist()) for a, b in zip(x, y, strict=True)] + [(None, [9.0, 9.0])]
    pairs = spark.createDataFrame(rows, "vector array<float>, target array<float>")
    found = fit_interest_map(pairs.repartition(3), 3, 2, ridge=0.1)
    wanted = Ridge(alpha=0.1 * 40).fit(x, y)
    np.testing.assert_allclose(found[:3].T, wanted.coef_, atol=1e-4)
    np.testing.assert_allclose(found[3], wanted.intercept_, atol=1e-4)


def test_a_mapped_interest_has_length_one_and_an_unknown_one_stays_so():
    weights = np.array([[3.0], [0.0], [0.0]], np.float32)
    found = map_interests(np.array([[-2.0, 1.0], [NAN, 1.0]], np.float32), weights)
    np.testing.assert_array_equal(found, [[-1.0], [NAN]])
