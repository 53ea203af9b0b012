"""Fit scikit-learn's classifiers to a snapshot's numbers, as baselines."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from profile_lib.training.data.split_columns import read_columns

MAX_BINS = 255  # distinct values of a feature in gradient boosting


class BaselineRows(NamedTuple):
    """Columns of n rows of a split."""

    numeric: np.ndarray  # (n, F + K) float32, NaN if unknown; the last K are category codes
    labels: np.ndarray  # (n, L), NaN if unknown
    top_class: np.ndarray  # (n,)
    weight: np.ndarray  # (n,)
    row_hash: np.ndarray  # (n,)


def read_baseline_rows(folder: str, max_rows: int) -> BaselineRows:
    """Read the first `max_rows` rows of a snapshot's split."""
    return BaselineRows(*read_columns(folder, BaselineRows._fields, max_rows))


def fit_baselines(
    train: BaselineRows, test: BaselineRows, column: int, n_categories: int, seed: int
) -> dict[str, np.ndarray]:
    """Fit the baselines to a binary label, and predict the test rows.

    Returns each method's probabilities, (m,), of the m test rows whose label is known. `column` is
    the label's column of `labels`. The last `n_categories` features are category codes.

    Logistic regression reads signed logarithms, standardised, with the median for unknown values,
    and an indicator of each category's value. Gradient boosting reads quantile bins of the numbers,
    and the categories unchanged. Both use the rows' weights, and leave out features that are
    unknown in all train rows.
    """
    is_known = ~np.isnan(train.labels[:, column])
    is_used = ~np.isnan(train.numeric[is_known]).all(axis=0)
    x, y = train.numeric[is_known][:, is_used], train.labels[is_known, column]
    weight = train.weight[is_known]
    x_test = test.numeric[~np.isnan(test.labels[:, column])][:, is_used]
    is_category = (np.arange(len(is_used)) >= len(is_used) - n_categories)[is_used]
    numbers = make_pipeline(
        FunctionTransformer(_signed_log), SimpleImputer(strategy="median"), StandardScaler()
    )
    parts = [
        ("numbers", numbers, ~is_category),
        ("categories", OneHotEncoder(handle_unknown="ignore"), is_category),
    ]
    logistic = make_pipeline(ColumnTransformer(parts), LogisticRegression(max_iter=1000))
    logistic.fit(x, y, logisticregression__sample_weight=weight)
    boosting = HistGradientBoostingClassifier(random_state=seed, categorical_features=is_category)
    edges = [
        np.zeros(0) if is_code else _bin_edges(feature)
        for feature, is_code in zip(x.T, is_category, strict=True)
    ]
    boosting.fit(_binned(x, edges), y, sample_weight=weight)
    return {
        "logistic_regression": logistic.predict_proba(x_test)[:, 1],
        "gradient_boosting": boosting.predict_proba(_binned(x_test, edges))[:, 1],
    }


def _bin_edges(feature: np.ndarray) -> np.ndarray:
    """Return the distinct values of a feature, or quantiles if there are more than MAX_BINS.

    scikit-learn would sort the feature again for each weighted quantile, which takes minutes for a
    hundred features.
    """
    values = np.unique(feature[~np.isnan(feature)])
    if len(values) <= MAX_BINS:
        return values
    return np.unique(np.nanquantile(feature, np.linspace(0, 1, MAX_BINS + 1)[1:-1]))


def _binned(x: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """Replace each number by the count of edges below it; NaN and categories stay."""
    binned = x.copy()
    for column, feature_edges in enumerate(edges):
        if len(feature_edges):
            known = ~np.isnan(x[:, column])
            binned[known, column] = np.searchsorted(feature_edges, x[known, column])
    return binned


def _signed_log(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.log1p(np.abs(x))
