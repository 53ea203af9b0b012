"""Test which items are bought again, and when."""

from datetime import date

import numpy as np
from pyspark.testing import assertDataFrameEqual

from profile_lib.recommend.candidates.buy_again import BuyAgain, estimate_repeats
from tests.recommend.request_rows import make_requests

A, B, C, D = range(4)


def test_the_share_of_repeat_buyers_is_smoothed_and_days_are_the_median(rows):
    purchases = rows(
        "user_id string, item int, local_date date",
        ("u", A, date(2026, 1, 1)),
        ("u", A, date(2026, 1, 1)),  # twice on a day is no repeat
        ("u", A, date(2026, 1, 11)),
        ("v", A, date(2026, 1, 3)),
        ("w", B, date(2026, 1, 5)),
    )
    expected = rows("item int, share double, days double", (A, (1 + 0.1 * 8) / (2 + 8), 10.0))
    repeats = estimate_repeats(purchases, prior_share=0.1, prior_count=8.0)
    assertDataFrameEqual(repeats, expected)


def test_an_item_scores_highest_when_its_usual_days_are_over():
    source = BuyAgain(share=np.array([0.5, 0.5, 0.0, 0.1]), days=np.array([10.0, 10.0, 0.0, 10.0]))
    requests = make_requests(
        [A, A, B, C, D], bought=[[1, 1, 1, 1, 0]], days_ago=[[30.0, 10.0, 5.0, 10.0, 10.0]]
    )
    scores = source.scores(requests, k=4).toarray()[0]
    np.testing.assert_allclose(scores, [0.5, 0.5 * 0.5 * np.exp(0.5), 0, 0], rtol=1e-6)
