"""Fit a logistic regression on intervals of numbers."""

import warnings
from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from profile_lib.metrics.classification import log_loss
from profile_lib.model.baselines import BinnedLogistic
from profile_lib.training.baselines.rows import LabelledRows

MAX_ITERATIONS = 200


def fit_logistic(
    train: LabelledRows,
    validation: LabelledRows,
    *,
    n_categories: int,
    n_intervals: int,
    penalties: Sequence[float],
) -> BinnedLogistic:
    """Fit a weight per number and interval; the best of the `penalties` by validation loss.

    A number has at most `n_intervals` intervals with about as many train rows each, and one for
    unknown values. A penalty is that of the squared weights (scikit-learn's 1 / C). The last
    `n_categories` columns are codes. Each code has an interval of its own, and rare ones beyond the
    number of intervals share the last.
    """
    n_features = train.numeric.shape[1]
    model = BinnedLogistic(n_features, n_intervals - 1)
    for feature in range(n_features):
        is_code = feature >= n_features - n_categories
        edges = _find_edges(train.numeric[:, feature], n_intervals, is_code)
        model.edges[feature, : len(edges)] = torch.from_numpy(edges)
    x, x_validation = (_one_hot(model, rows.numeric) for rows in (train, validation))
    fitted: list[tuple[float, LogisticRegression]] = []
    for penalty in penalties:
        regression = LogisticRegression(C=1 / penalty, max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            # The validation loss judges the weights, wherever the iterations ended.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(x, train.label, sample_weight=train.weight)
        probabilities = regression.predict_proba(x_validation)[:, 1]
        loss = log_loss(validation.label, probabilities, validation.weight)
        fitted.append((loss, regression))
    _, best = min(fitted, key=itemgetter(0))
    model.weight.copy_(torch.from_numpy(best.coef_.reshape(model.weight.shape)))
    model.bias.copy_(torch.from_numpy(best.intercept_)[0])
    return model


def _find_edges(values: np.ndarray, n_intervals: int, is_code: bool) -> np.ndarray:
    """Return the edges between the intervals of a number, ascending."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return np.zeros(0)
    if is_code:
        return np.arange(min(known.max(), n_intervals - 1))
    distinct = np.unique(known)
    if len(distinct) <= n_intervals:
        return distinct[:-1]
    inner = np.linspace(0, 1, n_intervals + 1)[1:-1]
    return np.unique(np.quantile(known, inner))


def _one_hot(model: BinnedLogistic, numeric: np.ndarray) -> csr_array:
    """Return a column per number and interval, in the order of the model's weights."""
    intervals = model.find_intervals(torch.from_numpy(numeric)).numpy()
    n_features, n_columns = model.weight.shape
    columns = (intervals + n_columns * np.arange(n_features)[:, None]).T.ravel()
    ones, starts = np.ones(len(columns)), np.arange(len(numeric) + 1) * n_features
    return csr_array((ones, columns, starts), shape=(len(numeric), n_features * n_columns))
