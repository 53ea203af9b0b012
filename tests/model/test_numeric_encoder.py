"""Test how numbers are standardised, binned and put on a log scale, and unknown ones flagged."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from profile_lib.model.numeric_encoder import MAX_Z_SCORE, NumericEncoder, NumericStatistics


def build_encoder(*statistics: NumericStatistics, bins: int = 2) -> NumericEncoder:
    encoder = NumericEncoder(len(statistics), bins, hidden=4, size=3, dropout=0.0)
    encoder.set_statistics(statistics)
    return encoder


def encode(encoder: NumericEncoder, *row: float) -> list[float]:
    return encoder.encode(torch.tensor([row])).round(decimals=4).tolist()[0]


def test_a_value_is_standardised_and_fills_the_bins_up_to_it():
    encoder = build_encoder(NumericStatistics("n", False, 2.0, 2.0, (0.0, 2.0, 6.0)))
    assert encode(encoder, 4.0) == [1.0, 0.0, 1.0, 0.5]  # value, flag, first bin, half the second
    assert encode(encoder, -3.0) == [-2.5, 0.0, 0.0, 0.0]
    assert encode(encoder, 99.0) == [MAX_Z_SCORE, 0.0, 1.0, 1.0]


def test_components_of_vectors_have_no_bins():
    statistics = [NumericStatistics(name, False, 2.0, 2.0, (0.0, 2.0, 6.0)) for name in ("n", "v")]
    encoder = NumericEncoder(2, 2, hidden=4, size=3, dropout=0.0, n_vector_numbers=1)
    encoder.set_statistics(statistics)
    assert encode(encoder, 4.0, 6.0) == [1.0, 2.0, 0.0, 0.0, 1.0, 0.5]
    assert encoder(torch.tensor([[4.0, 6.0]])).shape == (1, 3)


def test_an_unknown_value_is_encoded_as_zero_with_a_flag():
    encoder = build_encoder(NumericStatistics("n", False, 2.0, 2.0, (0.0, 2.0, 6.0)))
    assert encode(encoder, math.nan) == [0.0, 1.0, 0.0, 0.0]


def test_the_logarithm_of_a_heavy_tailed_value_keeps_its_sign():
    encoder = build_encoder(NumericStatistics("n", True, 0.0, 1.0, ()))
    assert encode(encoder, math.e - 1) == [1.0, 0.0, 0.0, 0.0]
    assert encode(encoder, 1 - math.e) == [-1.0, 0.0, 0.0, 0.0]


def test_a_feature_that_never_varies_or_is_never_known_fills_no_bins():
    encoder = build_encoder(
        NumericStatistics("constant", False, 7.0, 0.0, (7.0,)),
        NumericStatistics("unknown", False, 0.0, 1.0, ()),
    )
    assert encode(encoder, 7.0, math.nan) == [0.0, 0.0, 0.0, 1.0] + [0.0] * 4


def test_an_unknown_category_adds_nothing_also_after_training():
    encoder = NumericEncoder(1, 2, hidden=4, size=3, dropout=0.0, category_sizes=(2,))
    rows = torch.tensor([[1.0, 0.0], [1.0, math.nan]])
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.1)
    encoder(rows).square().sum().backward()
    optimizer.step()
    (vectors,) = encoder.categories
    assert vectors.weight[2].tolist() == [0.0]
    assert vectors.weight[0].item() != 0.0


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=30), st.integers(1, 8))
def test_bins_fill_as_the_value_grows_and_at_most_one_is_partly_full(values, bins):
    edges = tuple(sorted(map(float, set(values))))
    encoder = build_encoder(
        NumericStatistics("n", False, float(np.mean(values)), float(np.std(values)), edges),
        bins=bins,
    )
    ascending = torch.tensor(sorted(values)).float().unsqueeze(1)
    filled = encoder.encode(ascending)[:, 2:]
    assert (filled.diff(dim=0) >= 0).all()
    assert (((filled > 1e-4) & (filled < 1 - 1e-4)).sum(dim=1) <= 1).all()
    assert filled.isfinite().all()


def test_infinite_and_huge_values_give_finite_vectors():
    encoder = build_encoder(NumericStatistics("n", True, 1.0, 2.0, (0.0, 1.0)))
    for value in (math.inf, -math.inf, 3e38):
        assert encoder(torch.tensor([[value]])).isfinite().all()


def test_a_category_has_a_vector_per_value_and_one_for_unknown_values():
    encoder = NumericEncoder(1, 2, hidden=4, size=3, dropout=0.0, category_sizes=(2,))
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, math.nan]])
    assert len({tuple(x) for x in encoder(rows).tolist()}) == 3
    with torch.no_grad():
        encoder.categories[0].weight[2] = encoder.categories[0].weight[0]
    vectors = encoder(rows)
    torch.testing.assert_close(vectors[0], vectors[2])
