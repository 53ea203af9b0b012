"""Reports on predictions whose metrics are known."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from profile_lib.model.tasks import TaskSpec
from profile_lib.training.baselines.rows import BaselineRows
from profile_lib.training.evaluation.curves import compute_curves
from profile_lib.training.evaluation.intervals import bootstrap_intervals
from profile_lib.training.evaluation.report import evaluate, format_report

BUYS = TaskSpec(name="buys", kind="binary")
NEXT = TaskSpec(name="next", kind="multiclass", classes=("red", "green", "blue", "grey"))
NAN = math.nan


def rows_of(labels: list) -> BaselineRows:
    """Make rows with these labels, one known number each."""
    n = len(labels)
    return BaselineRows(
        np.zeros((n, 1)), np.array(labels, float), np.zeros(n, int), np.ones(n), np.arange(n)
    )


def users(n: int, **segments) -> pd.DataFrame:
    return pd.DataFrame({"user_hash": np.arange(n), **segments}, index=np.arange(n))


def test_a_report_holds_the_metrics_of_the_model_and_of_each_baseline():
    train = rows_of([[0, 0], [1, 0]])
    test = rows_of([[0, 0], [1, 1], [1, 3], [NAN, NAN]])._replace(top_class=np.array([1, 1, 3, 0]))
    predictions = {
        "buys": {"row_hash": np.array([2, 0, 1]), "label": np.array([1, 0, 1]),
                 "probability": np.array([0.9, 0.2, 0.1])},
        "next": {"row_hash": np.array([0, 1, 2]), "label": np.array([0, 1, 3]),
                 "predicted": np.array([0, 0, 0]), "rank": np.array([1, 2, 4]),
                 "probability": np.array([0.5, 0.2, 0.1])},
    }  # fmt: skip
    user_rows = users(4, device=["phone", "desk", "desk", None])
    boosting, joined = np.array([0.8, 0.1, 0.4]), np.array([0.9, 0.1, 0.6])  # of rows 2, 0, 1
    classifiers = {"buys": {"gradient_boosting": boosting, "numbers_alone": joined}}
    report = evaluate((BUYS, NEXT), "next", predictions, train, test, classifiers, user_rows, 1, 20)
    buys, following = report["buys"], report["next"]
    label, probability = predictions["buys"]["label"], predictions["buys"]["probability"]
    assert (buys["n"], buys["positives"]) == (3, 2)
    assert buys["model"]["roc_auc"] == roc_auc_score(label, probability)
    assert buys["model"]["pr_auc"] == pytest.approx(average_precision_score(label, probability))
    assert buys["classification_report"]["1"]["precision"] == 0.5  # one of two is right
    assert buys["gradient_boosting"]["brier"] == pytest.approx(np.mean((boosting - label) ** 2))
    assert buys["numbers_alone"]["roc_auc"] == 1.0
    assert buys["intervals"]["model less numbers_alone"]["roc_auc"][1] <= 0.0
    assert buys["segments"]["device"]["desk"]["n"] == 2
    assert buys["segments"]["device"]["phone"]["model"]["roc_auc"] is None
    assert following["model"] == {"accuracy": 1 / 3, "mrr": pytest.approx(7 / 12), "top_3": 2 / 3}
    assert following["most_seen_category"]["accuracy"] == pytest.approx(2 / 3)
    assert following["commonest_class"]["accuracy"] == pytest.approx(1 / 3)
    low, high = following["intervals"]["model less most_seen_category"]["accuracy"]
    assert low < 1 / 3 - 2 / 3 < high
    assert following["segments"]["device"]["phone"]["intervals"]["mrr"] == [1.0, 1.0]
    lines = format_report(report)
    assert lines[0] == "buys (3 test rows, 2 positive)"
    assert [line.split()[0] for line in lines[2:5]] == [
        "model", "gradient_boosting", "numbers_alone"
    ]  # fmt: skip
    assert lines[-1].split() == ["most_seen_category", "0.6667", "0.6667", "0.6667"]


def test_multilabel_and_regression_tasks_are_compared_with_the_means_of_train():
    likes = TaskSpec(name="likes", kind="multilabel", classes=("cap", "mug"))
    spend = TaskSpec(name="spend", kind="regression", center=2.0, scale=1.0)
    labels = np.array([[1, 0, 3.0], [0, 1, 1.0]], np.float32)
    rows = BaselineRows(np.zeros((2, 1)), labels, np.zeros(2), np.ones(2), np.arange(2))
    predictions = {
        "likes": {"row_hash": np.arange(2), "label": labels[:, :2].astype(int),
                  "probability": np.array([[0.9, 0.2], [0.1, 0.8]])},
        "spend": {"row_hash": np.arange(2), "label": labels[:, 2], "value": np.array([3.0, 2.0])},
    }  # fmt: skip
    report = evaluate((likes, spend), None, predictions, rows, rows, {}, users(2), 1, 5)
    assert report["likes"]["model"]["roc_auc"] == 1.0
    assert report["likes"]["rate_in_train"]["roc_auc"] == 0.5
    assert report["spend"]["model"] == {"rmse": pytest.approx(math.sqrt(0.5)), "mae": 0.5}
    assert report["spend"]["mean_of_train"] == {"rmse": 1.0, "mae": 1.0}
    assert report["spend"]["intervals"]["mean_of_train"]["mae"] == [1.0, 1.0]
    assert report["likes"]["intervals"]["model"]["roc_auc"][1] == 1.0


def test_a_task_without_a_known_test_label_has_no_metrics():
    empty = {"row_hash": np.zeros(0, int), "label": np.zeros(0, int), "probability": np.zeros(0)}
    train, test = rows_of([[0], [1]]), rows_of([[NAN], [NAN]])
    report = evaluate((BUYS,), None, {"buys": empty}, train, test, {}, users(2), 1, 5)
    assert report == {"buys": {"kind": "binary", "n": 0}}
    assert format_report(report)[0] == "buys (0 test rows)"


def test_an_interval_contains_the_metric_and_is_wider_if_users_have_many_rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4000)
    scores = np.clip(labels * 0.2 + rng.random(4000) * 0.8, 0, 1)
    random_scores = rng.random(4000)
    scores_by_method = {"model": scores, "gradient_boosting": random_scores}
    one_row_each = bootstrap_intervals(
        BUYS.definition, labels, scores_by_method, np.arange(4000), 1, 100
    )
    many_rows_each = bootstrap_intervals(
        BUYS.definition, np.repeat(labels[:40], 100), {"model": np.repeat(scores[:40], 100)},
        np.repeat(np.arange(40), 100), 1, 100,
    )  # fmt: skip
    low, high = one_row_each["model"]["roc_auc"]
    assert low < roc_auc_score(labels, scores) < high
    assert one_row_each["model less gradient_boosting"]["roc_auc"][0] > 0
    assert high - low < np.diff(many_rows_each["model"]["roc_auc"])[0] / 3


def test_a_curve_ends_where_every_row_is_predicted_positive():
    curves = compute_curves(np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.4]))
    assert curves["roc"] == [[0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]
    assert curves["precision_recall"] == [[0.5, 1.0], [1.0, pytest.approx(0.66667)], [1.0, 0.5]]
