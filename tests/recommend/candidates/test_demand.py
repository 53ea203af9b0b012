"""Test the demand for items, and its rise, by context."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from pyspark.testing import assertDataFrameEqual
from scipy import sparse

from profile_lib.recommend.candidates.demand import Demand, compute_demand, compute_demand_rise
from tests.recommend.request_rows import DAY, make_requests

A, B = range(2)


def day(number):
    return datetime(1970, 1, 1) + timedelta(days=number)


def test_demand_halves_with_time_and_is_summed_per_context(rows):
    events = rows(
        "user_id string, item_id string, event_type string, region string, event_ts timestamp",
        ("u", "a", "view", "North", day(10)),
        ("u", "a", "purchase", None, day(8)),
        ("u", "a", "page", "North", day(10)),  # without a weight
        ("u", "b", "view", "North", day(12)),  # after now
    )
    items = rows("item_id string, item int", ("a", A), ("b", B))
    demand = compute_demand(
        events,
        items,
        ["region"],
        {"view": 1.0, "purchase": 4.0},
        now=10 * DAY,
        half_life_days=2.0,
        short_half_life_days=1.0,
    )
    expected = rows(
        "context string, value string, item int, demand double, recent double",
        ("everywhere", "everywhere", A, 1 + 4 / 2, 1 + 4 / 4),
        ("region", "North", A, 1.0, 1.0),
    )
    assertDataFrameEqual(demand, expected)


def test_demand_in_a_context_is_mixed_with_demand_everywhere_by_its_trust():
    shares = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 0], [0.5, 0.2, 0.3]], np.float32))
    source = Demand(shares, first_row=np.array([0, 1]), trust=np.array([0.5, 1.0, 1.0]))
    requests = make_requests([], [], [], contexts=[[0, -1], [0, 0], [-1, -1]])
    half_trusted = [0.25, 0.6, 0.15]
    mean_of_two = [0.625, 0.3, 0.075]
    everywhere = [0.5, 0.2, 0.3]
    np.testing.assert_allclose(
        source.scores(requests, k=3).toarray(), [half_trusted, mean_of_two, everywhere], rtol=1e-6
    )


def test_a_shop_without_contexts_proposes_what_is_in_demand_everywhere():
    shares = sparse.csr_array(np.array([[0.5, 0.2, 0.3]], np.float32))
    source = Demand(shares, first_row=np.zeros(0, np.int64), trust=np.ones(1))
    scores = source.scores(make_requests([], [A], contexts=[[], []]), k=2).toarray()
    assert scores == pytest.approx(np.array([[0.5, 0, 0.3]] * 2), abs=1e-6)


def test_a_rise_is_recent_demand_above_the_expected_in_standard_deviations():
    demand, recent = np.array([10.0, 10.0, 0.0]), np.array([9.0, 1.0, 0.0])
    rise = compute_demand_rise(demand, recent, recent_share=np.full(3, 0.5))
    np.testing.assert_allclose(rise, [4 / np.sqrt(6), 0, 0], atol=1e-6)
