"""The population stability index is the symmetric divergence, and is small without a change."""

import numpy as np
import pytest
from scipy.special import rel_entr

from profile_lib.metrics.stability import (
    MIN_SHARE,
    population_stability_index,
    stability_terms,
)


def test_the_index_is_the_divergence_in_both_directions():
    rng = np.random.default_rng(7)
    earlier, later = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(12))
    expected = rel_entr(later, earlier).sum() + rel_entr(earlier, later).sum()
    assert population_stability_index(earlier, later) == pytest.approx(expected, rel=1e-12)
    assert population_stability_index(later, earlier) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("earlier", "later", "index"),
    [
        ([0.25, 0.75], [0.25, 0.75], 0.0),
        ([0.5, 0.5], [0.8, 0.2], 0.415888),  # 0.3 ln 1.6 - 0.3 ln 0.4
        ([0.9, 0.1], [1.0, 0.0], 0.700621),  # 0.1 ln(1 / 0.9) + 0.0999 ln(0.1 / 0.0001)
    ],
)
def test_the_index_has_the_exact_value(earlier, later, index):
    assert population_stability_index(earlier, later) == pytest.approx(index, abs=1e-6)


def test_a_value_that_vanishes_counts_as_the_smallest_share():
    terms = stability_terms([0.9, 0.1], [1.0, 0.0])
    assert terms[1] == pytest.approx((MIN_SHARE - 0.1) * np.log(MIN_SHARE / 0.1))


def test_samples_of_one_distribution_have_the_index_that_their_sizes_predict():
    rng, shares = np.random.default_rng(3), np.full(10, 0.1)
    n, m = 2_000, 8_000
    indices = [
        population_stability_index(rng.multinomial(m, shares) / m, rng.multinomial(n, shares) / n)
        for _ in range(2_000)
    ]
    assert np.mean(indices) == pytest.approx(9 * (1 / n + 1 / m), rel=0.05)
