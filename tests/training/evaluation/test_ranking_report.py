"""Reports measure whether relevant rows of a request precede the others."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import ndcg_score

from profile_lib.training.data.snapshot import REQUEST_HASH
from profile_lib.training.evaluation.ranking_report import (
    compute_request_metrics,
    format_request_metrics,
)

LABELS = np.array([1, 0, 0, 0, 1, 1, 0, 0])
USERS = pd.DataFrame(
    {REQUEST_HASH: [7, 7, 7, 3, 3, 3, 9, 9], "user_hash": [1, 1, 1, 2, 2, 2, 3, 3]}
)
MODEL = np.array([0.2, 0.9, 0.1, 0.5, 0.9, 0.1, 0.3, 0.3])
BOOSTING = np.zeros(8)


def request_metrics():
    scores_by_method = {"boosting": BOOSTING, "model": MODEL}
    return compute_request_metrics(LABELS, scores_by_method, USERS, seed=1, n_resamples=50)


def test_ndcg_and_reciprocal_rank_are_means_over_requests_with_a_relevant_row():
    report = request_metrics()
    assert report["n"] == 2
    expected = np.mean(
        [ndcg_score([LABELS[:3]], [MODEL[:3]]), ndcg_score([LABELS[3:6]], [MODEL[3:6]])]
    )
    assert report["model"]["ndcg"] == pytest.approx(expected)
    assert report["model"]["mrr"] == pytest.approx((1 / 2 + 1) / 2)


def test_rows_of_equal_scores_rank_in_the_worst_order():
    one_at_rank_3 = 1 / np.log2(4)
    two_at_ranks_2_and_3 = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert request_metrics()["boosting"]["ndcg"] == pytest.approx(
        (one_at_rank_3 + two_at_ranks_2_and_3) / 2
    )


def test_the_interval_of_the_lead_over_the_other_method_contains_the_lead():
    low, high = request_metrics()["lead"]
    lead = request_metrics()["model"]["ndcg"] - request_metrics()["boosting"]["ndcg"]
    assert low <= lead <= high


def test_without_relevant_rows_there_are_no_metrics():
    without_relevant_rows = compute_request_metrics(
        np.zeros(8), {"model": MODEL}, USERS, seed=1, n_resamples=5
    )
    assert without_relevant_rows == {"n": 0}
    assert format_request_metrics(request_metrics())[0] == "  order within 2 requests, first 10:"
