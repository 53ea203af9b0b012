"""The snapshot's numbers in, what scikit-learn's models say of the same test rows out."""

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

MAX_BINS = 255  # values of a feature that boosting tells apart


class BaselineRows(NamedTuple):
    """Of n rows of a split."""

    numeric: np.ndarray  # (n, F + K) float32, NaN where unknown; K positions of categories
    labels: np.ndarray  # (n, L), NaN where unknown
    top_class: np.ndarray  # (n,)
    weight: np.ndarray  # (n,)
    row_hash: np.ndarray  # (n,)


def read_baseline_rows(folder: str, max_rows: int) -> BaselineRows:
    """The first `max_rows` rows of a snapshot's split."""
    return BaselineRows(*read_columns(folder, BaselineRows._fields, max_rows))


def fit_baselines(
    train: BaselineRows, test: BaselineRows, column: int, n_categories: int, seed: int
) -> dict[str, np.ndarray]:
    """Name → probabilities of a binary label for the test rows where it is known.

    Logistic regression reads signed logarithms, standardised, unknown values as the median, and a
    flag for each category's value; gradient boosting reads numbers by the quantiles they lie
    between, and the last `n_categories`, which are categories, as they are. Both take the rows'
    weights, and leave out features of which no train row knows the value.
    """
    known = ~np.isnan(train.labels[:, column])
    seen = ~np.isnan(train.numeric[known]).all(axis=0)
    x, y, weight = train.numeric[known][:, seen], train.labels[known, column], train.weight[known]
    asked = test.numeric[~np.isnan(test.labels[:, column])][:, seen]
    is_category = (np.arange(len(seen)) >= len(seen) - n_categories)[seen]
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
        np.zeros(0) if by_name else _edges(of) for of, by_name in zip(x.T, is_category, strict=True)
    ]
    boosting.fit(_binned(x, edges), y, sample_weight=weight)
    return {
        "logistic_regression": logistic.predict_proba(asked)[:, 1],
        "gradient_boosting": boosting.predict_proba(_binned(asked, edges))[:, 1],
    }


def _edges(of: np.ndarray) -> np.ndarray:
    """The quantiles of a feature, where it has more values than boosting tells apart.

    Left to itself scikit-learn sorts the feature anew for each of its weighted quantiles: minutes
    for a hundred features.
    """
    values = np.unique(of[~np.isnan(of)])
    if len(values) <= MAX_BINS:
        return values
    return np.unique(np.nanquantile(of, np.linspace(0, 1, MAX_BINS + 1)[1:-1]))


def _binned(x: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers as how many of the feature's edges are below them; NaN and categories as they are."""
    out = x.copy()
    for column, of in enumerate(edges):
        if len(of):
            known = ~np.isnan(x[:, column])
            out[known, column] = np.searchsorted(of, x[known, column])
    return out


def _signed_log(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.log1p(np.abs(x))
