"""The report of a model whose right answers are known."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from profile_lib.model.encoder import TaskSpec
from profile_lib.training.baselines import Numbers, fit_baselines
from profile_lib.training.evaluate import evaluate, report_lines

BUYS = TaskSpec(name="buys", kind="binary", classes=())
NEXT = TaskSpec(name="next", kind="multiclass", classes=("red", "green", "blue", "grey"))


def numbers(n: int, seed: int) -> Numbers:
    """Buys where the first number is large and the second is not: no line parts the two."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(n, 3)).astype(np.float32)
    numeric[:, 2] = np.nan
    buys = ((numeric[:, 0] > 0) != (numeric[:, 1] > 0)).astype(int)
    return Numbers(
        numeric, np.stack([buys, np.zeros(n, int)], axis=1), np.zeros(n, int), np.ones(n)
    )


def test_the_baselines_are_fitted_to_the_numbers():
    train, test = numbers(2000, 0), numbers(500, 1)
    found = fit_baselines(train, test, 0, seed=1)
    auc = {name: roc_auc_score(test.labels[:, 0], p) for name, p in found.items()}
    assert auc["gradient_boosting"] > 0.99
    assert 0.4 < auc["logistic_regression"] < 0.6


def test_a_report_holds_the_measures_of_every_way_of_answering():
    train, test = numbers(300, 0), numbers(4, 1)
    test = test._replace(
        labels=np.array([[0, 0], [1, 1], [1, 3], [-1, -1]]), top_class=np.array([1, 1, 3, 0])
    )
    predictions = {
        "buys": {"label": np.array([0, 1, 1]), "probability": np.array([0.2, 0.1, 0.9])},
        "next": {"label": np.array([0, 1, 3]), "predicted": np.array([0, 0, 0]),
                 "rank": np.array([1, 2, 4]), "probability": np.array([0.5, 0.2, 0.1])},
    }  # fmt: skip
    report = evaluate((BUYS, NEXT), "next", predictions, train, test, seed=1)
    buys, following = report["buys"], report["next"]
    label, probability = predictions["buys"]["label"], predictions["buys"]["probability"]
    assert (buys["n"], buys["positives"]) == (3, 2)
    assert buys["model"]["roc_auc"] == roc_auc_score(label, probability)
    assert buys["model"]["pr_auc"] == pytest.approx(average_precision_score(label, probability))
    assert buys["classification_report"]["1"]["precision"] == 0.5  # two are called, one is right
    assert following["model"] == {"accuracy": 1 / 3, "mrr": pytest.approx(7 / 12), "top_3": 2 / 3}
    assert following["most_seen_category"]["accuracy"] == pytest.approx(2 / 3)
    assert following["commonest_class"]["accuracy"] == pytest.approx(1 / 3)
    lines = report_lines(report)
    assert lines[0] == "buys (3 test rows, 2 positive)"
    assert [line.split()[0] for line in lines[2:5]] == [
        "model", "logistic_regression", "gradient_boosting"
    ]  # fmt: skip
    assert lines[-1].split() == ["most_seen_category", "0.6667", "0.6667", "0.6667"]


def test_a_task_that_no_test_row_answers_is_told_without_measures():
    empty = {"label": np.zeros(0, int), "probability": np.zeros(0)}
    test = numbers(2, 1)._replace(labels=np.full((2, 1), -1))
    report = evaluate((BUYS,), None, {"buys": empty}, numbers(50, 0), test, seed=1)
    assert report == {"buys": {"kind": "binary", "n": 0}}
    assert report_lines(report)[0] == "buys (0 test rows)"
