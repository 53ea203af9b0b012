"""Test the map from interest vectors to text vectors."""

import numpy as np
from sklearn.linear_model import Ridge

from profile_lib.recommend.candidates.shared.interest_map import fit_interest_map, map_interests

NAN = np.nan


def test_the_map_equals_the_ridge_regression_of_scikit_learn(spark):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    y = (x @ rng.normal(size=(3, 2)) + 0.1 * rng.normal(size=(40, 2)) + 1).astype(np.float32)
    rows = [(a.tolist(), b.tolist()) for a, b in zip(x, y, strict=True)] + [(None, [9.0, 9.0])]
    pairs = spark.createDataFrame(rows, "vector array<float>, target array<float>")
    interest_map = fit_interest_map(pairs.repartition(3), 3, 2, ridge=0.1)
    expected = Ridge(alpha=0.1 * 40).fit(x, y)
    np.testing.assert_allclose(interest_map[:3].T, expected.coef_, atol=1e-4)
    np.testing.assert_allclose(interest_map[3], expected.intercept_, atol=1e-4)


def test_a_mapped_interest_has_length_one_and_an_unknown_one_stays_unknown():
    interest_map = np.array([[3.0], [0.0], [0.0]], np.float32)
    mapped = map_interests(np.array([[-2.0, 1.0], [NAN, 1.0]], np.float32), interest_map)
    np.testing.assert_array_equal(mapped, [[-1.0], [NAN]])
