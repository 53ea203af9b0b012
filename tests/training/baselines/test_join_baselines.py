"""Trees and a logistic regression on numbers, joined with a network."""

import lightgbm
import numpy as np
import pytest
import torch
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from profile_lib.model.baselines import BinnedLogistic, TreeEnsemble
from profile_lib.training.baselines.boosting import to_tree_arrays
from profile_lib.training.baselines.join import (
    BaselineOptions,
    fit_task_baselines,
    fit_weights,
    join_task,
)
from profile_lib.training.baselines.logistic import fit_logistic
from profile_lib.training.baselines.rows import BaselineRows, LabelledRows, select_labelled

OPTIONS = BaselineOptions(
    trees=60,
    learning_rate=0.2,
    leaves=[4, 8],
    min_rows=5,
    number_share=1.0,
    intervals=8,
    penalties=[1.0, 10.0],
)
NAN = np.nan


def xor_rows(n: int, seed: int) -> BaselineRows:
    """Make rows whose label is the exclusive or of two signs.

    No sum of terms in single numbers can predict it. A tenth of the first numbers is unknown, and
    all of the third.
    """
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(n, 3)).astype(np.float32)
    labels = ((numeric[:, 0] > 0) != (numeric[:, 1] > 0)).astype(np.float32)[:, None]
    numeric[rng.random(n) < 0.1, 0] = NAN
    numeric[:, 2] = NAN
    return BaselineRows(numeric, labels, np.zeros(n, int), np.ones(n), np.arange(n) * 7 % n)


def sum_rows(n: int, seed: int) -> LabelledRows:
    """Make rows whose label depends on the sum of a step in one number and a category code."""
    rng = np.random.default_rng(seed)
    numeric = np.stack([rng.normal(size=n), rng.integers(0, 4, n)], axis=1).astype(np.float32)
    true_logit = (
        2.0 * (numeric[:, 0] > 0.5) + np.array([-2.0, 0.0, 1.0, -1.0])[numeric[:, 1].astype(int)]
    )
    label = (rng.random(n) < 1 / (1 + np.exp(-true_logit))).astype(np.float32)
    return LabelledRows(numeric, label, np.ones(n))


def test_rows_are_selected_by_hash_and_a_missing_one_is_an_error():
    rows = xor_rows(20, 0)
    wanted = rows.row_hash[[7, 3]]
    assert rows.select(wanted).labels.tolist() == rows.labels[[7, 3]].tolist()
    with pytest.raises(ValueError, match="not all of 1 rows are among 20"):
        rows.select(np.array([21]))


def test_boosting_learns_an_exclusive_or_and_logistic_regression_does_not():
    train, validation, test = (
        select_labelled(xor_rows(n, seed), 0) for n, seed in ((2000, 0), (500, 1), (500, 2))
    )
    found = fit_task_baselines("buys", train, validation, 0, OPTIONS, seed=1)
    x = torch.from_numpy(test.numeric)
    boosting, logistic = found.trees(x).numpy(), found.logistic(x).numpy()
    known = ~np.isnan(test.numeric[:, 0])
    assert roc_auc_score(test.label[known], boosting[known]) > 0.98
    assert 0.4 < roc_auc_score(test.label, logistic) < 0.6


@pytest.mark.parametrize("with_unknown", [True, False])
def test_tree_arrays_predict_as_lightgbm_does_also_for_unknown_numbers(with_unknown):
    train = select_labelled(xor_rows(1000, 3), 0)
    numeric = train.numeric if with_unknown else np.nan_to_num(train.numeric)
    parameters = {"objective": "binary", "num_leaves": 9, "verbose": -1, "min_data_in_leaf": 3}
    booster = lightgbm.train(parameters, lightgbm.Dataset(numeric, train.label), 12)
    roots = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    arrays, depth = to_tree_arrays(roots)
    trees = TreeEnsemble(*arrays.feature.shape, depth)
    trees.load_state_dict(arrays._asdict())
    found = trees(torch.from_numpy(train.numeric)).numpy()
    np.testing.assert_allclose(found, booster.predict(train.numeric, raw_score=True), atol=1e-12)


def test_a_tree_that_is_one_leaf_says_the_same_of_all_rows():
    arrays, depth = to_tree_arrays([{"leaf_value": 0.5}, {"leaf_value": -2.0}])
    assert depth == 0
    trees = TreeEnsemble(2, 1, depth)
    trees.load_state_dict(arrays._asdict())
    assert trees(torch.tensor([[1.0], [NAN]])).tolist() == [-1.5, -1.5]


def test_an_interval_ends_with_its_edge_and_unknown_numbers_have_one_of_their_own():
    model = BinnedLogistic(2, 3)
    model.edges[0, :2] = torch.tensor([1.0, 2.0])
    numeric = torch.tensor([[0.5, 7.0], [1.0, NAN], [1.5, -1.0], [2.5, 0.0], [NAN, 1e9]])
    assert model.find_intervals(numeric).T.tolist() == [[0, 0], [0, 4], [1, 0], [2, 0], [4, 0]]


def test_the_logistic_regression_finds_the_step_and_the_codes():
    train, validation, test = sum_rows(4000, 0), sum_rows(1000, 1), sum_rows(4000, 2)
    model = fit_logistic(train, validation, n_categories=1, n_intervals=16, penalties=[0.1, 1000.0])
    assert model.edges[1, :3].tolist() == [0.0, 1.0, 2.0]
    found = model(torch.from_numpy(test.numeric)).sigmoid().numpy()
    columns = [test.numeric[:, 0] > 0.5, *(test.numeric[:, 1] == code for code in range(4))]
    x = np.stack(columns, axis=1)
    true_form = LogisticRegression(C=10.0).fit(x, test.label)
    best = log_loss(test.label, true_form.predict_proba(x)[:, 1])
    assert log_loss(test.label, found) < best + 0.01


def test_joined_logits_are_calibrated_and_a_useless_model_gets_no_weight():
    rng = np.random.default_rng(0)
    true_logit = rng.normal(size=20_000) * 2 - 3
    label = (rng.random(20_000) < 1 / (1 + np.exp(-true_logit))).astype(float)
    halves = np.stack([0.5 * true_logit, 0.5 * true_logit, -true_logit])
    weight, bias = fit_weights(halves, label, np.ones(20_000))
    assert weight[:2].sum() == pytest.approx(2.0, abs=0.1)
    assert weight[2] == 0.0
    joined = 1 / (1 + np.exp(-(weight @ halves + bias)))
    assert joined.mean() == pytest.approx(label.mean(), abs=1e-4)


def test_a_row_of_weight_two_counts_as_two_rows():
    rng = np.random.default_rng(1)
    logits, label = rng.normal(size=(2, 300)), rng.integers(0, 2, 300).astype(float)
    twice = np.r_[0:300, 0:100]
    weight = np.where(np.arange(300) < 100, 2.0, 1.0)
    once = fit_weights(logits, label, weight)
    repeated = fit_weights(logits[:, twice], label[twice], np.ones(400))
    np.testing.assert_allclose(np.append(*once), np.append(*repeated), atol=1e-4)


def test_the_final_score_is_what_the_module_computes_and_leads_each_of_its_parts():
    rows = {
        split: xor_rows(n, seed)
        for split, n, seed in (("train", 2000, 0), ("validation", 600, 1), ("test", 600, 2))
    }
    rng = np.random.default_rng(0)

    def network(split: str) -> dict[str, np.ndarray]:
        """Predict with noise of its own, in another order than that of the rows."""
        order = rng.permutation(len(rows[split].labels))
        label = rows[split].labels[order, 0]
        noisy = 1.5 * (2 * label - 1) + rng.normal(size=len(label)) * 2
        probability = 1 / (1 + np.exp(-noisy))
        return {"row_hash": rows[split].row_hash[order], "label": label, "probability": probability}

    test = network("test")
    joined = join_task("buys", rows, 0, network("validation"), test, 0, OPTIONS, 1)
    network_logit = torch.from_numpy(logit(test["probability"]))
    numeric = torch.from_numpy(rows["test"].select(test["row_hash"]).numeric)
    found = joined.baselines(network_logit, numeric).sigmoid().numpy()
    np.testing.assert_allclose(found, joined.final, atol=1e-12)
    assert list(joined.classifiers) == [
        "network", "gradient_boosting", "logistic_regression", "numbers_alone"
    ]  # fmt: skip
    final = log_loss(test["label"], joined.final)
    assert all(final < log_loss(test["label"], p) for p in joined.classifiers.values())
    np.testing.assert_array_equal(joined.classifiers["network"], test["probability"])
