"""Metrics agree with scikit-learn or with arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from profile_lib.metrics import classification as metrics

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1) | st.sampled_from([0.0, 0.2, 0.5, 1.0])),
    min_size=2,
    max_size=60,
)


def columns(rows):
    labels, scores = zip(*rows, strict=True)
    return np.array(labels), np.array(scores, np.float64)


@given(ROWS)
def test_roc_auc_agrees_with_scikit_learn(rows):
    labels, scores = columns(rows)
    auc = metrics.roc_auc(labels, scores)
    if labels.min() == labels.max():
        assert auc is None
    else:
        assert auc == pytest.approx(reference.roc_auc_score(labels, scores))


@given(ROWS)
def test_pr_auc_agrees_with_scikit_learn(rows):
    labels, scores = columns(rows)
    auc = metrics.pr_auc(labels, scores)
    if labels.max() == 0:
        assert auc is None
    else:
        assert auc == pytest.approx(reference.average_precision_score(labels, scores))


@given(ROWS)
def test_log_loss_and_brier_agree_with_scikit_learn(rows):
    labels, scores = columns(rows)
    clipped = np.clip(scores, 1e-12, 1 - 1e-12)
    assert metrics.log_loss(labels, scores) == pytest.approx(
        reference.log_loss(labels, clipped, labels=[0, 1])
    )
    assert metrics.brier(labels, scores) == pytest.approx(np.mean((scores - labels) ** 2))


@given(ROWS, st.integers(1, 10))
def test_calibration_bins_hold_every_row_once(rows, n_bins):
    labels, scores = columns(rows)
    bins = metrics.calibration_bins(labels, scores, n_bins)
    assert sum(b["n"] for b in bins) == len(rows)
    assert sum(b["n"] * b["share"] for b in bins) == pytest.approx(labels.sum())
    assert sum(b["n"] * b["probability"] for b in bins) == pytest.approx(scores.sum())


def test_the_calibration_error_is_the_mean_gap_between_share_and_probability():
    labels, scores = np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.8, 0.9])
    assert metrics.calibration_error(labels, scores, 2) == pytest.approx(
        (2 * abs(0.5 - 0.2) + 2 * abs(1.0 - 0.85)) / 4
    )


def test_the_calibration_line_undoes_a_change_of_all_logits():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=200_000) * 1.5 - 2
    labels = (rng.random(200_000) < 1 / (1 + np.exp(-logits))).astype(int)

    def line(shown):
        return metrics.calibration_slope_and_intercept(labels, 1 / (1 + np.exp(-shown)))

    assert line(logits) == pytest.approx((1.0, 0.0), abs=0.03)
    assert line(2 * logits)[0] == pytest.approx(0.5, abs=0.02)  # too extreme
    assert line(logits + 0.7)[1] == pytest.approx(-0.7, abs=0.03)  # too high
    fitted = LogisticRegression(C=np.inf).fit(logits[:, None], labels)
    assert line(logits)[0] == pytest.approx(fitted.coef_[0, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [([1, 1, 1], [0.1, 0.5, 0.9]), ([0, 1, 1], [0.1, 0.5, 0.9]), ([0, 1, 0], [0.3, 0.3, 0.3])],
)
def test_rows_of_one_label_or_probability_or_apart_have_no_calibration_line(labels, probabilities):
    found = metrics.calibration_slope_and_intercept(np.array(labels), np.array(probabilities))
    assert found is None


def test_hit_rate_and_reciprocal_rank_agree_with_arithmetic():
    ranks = np.array([1, 2, 4])
    assert metrics.hit_rate(ranks, 1) == pytest.approx(1 / 3)
    assert metrics.hit_rate(ranks, 3) == pytest.approx(2 / 3)
    assert metrics.mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 2 + 1 / 4) / 3)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 3)), min_size=1))
def test_a_row_of_weight_n_counts_as_n_rows(rows):
    labels, scores, times = (np.array(column, float) for column in zip(*rows, strict=True))
    if times.sum() == 0:
        times[0] = 1
    n = times.astype(int)
    for measure in (metrics.log_loss, metrics.brier, metrics.rmse, metrics.mae, metrics.pr_auc):
        repeated = measure(np.repeat(labels, n), np.repeat(scores, n))
        assert measure(labels, scores, times) == pytest.approx(repeated)
    assert metrics.hit_rate(labels + 1, 1, times) == pytest.approx(np.repeat(labels == 0, n).mean())
