"""A list of users in; those most like them, and how well such a search finds its own, out."""

from dataclasses import dataclass

import numpy as np
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from profile_lib.arrays.groups import Floats
from profile_lib.errors import InputError
from profile_lib.metrics.classification import roc_auc
from profile_lib.segmentation.interest_vectors import sample_vectors, score_users

FOLDS = 5
MAX_ITERATIONS = 1_000  # of the solver, at most


@dataclass(frozen=True)
class LookalikeModel:
    """A direction among scaled interest vectors, and how well it finds seeds it was not told of.

    `auc`: the probability that it puts such a seed before another user; None of fewer than FOLDS.
    """

    weights: Floats
    intercept: float
    auc: float | None
    n_seeds: int


def read_seeds(spark: SparkSession, file: str, setting: str) -> DataFrame:
    """(user_id) of a CSV file with that column. Raises InputError where it is not that."""
    try:
        rows = spark.read.option("header", True).csv(file)
    except AnalysisException as error:
        raise InputError(
            f"{setting}: no file at {file}; wanted a CSV with a column user_id"
        ) from error
    if "user_id" not in rows.columns:
        raise InputError(f"{setting}: {file} has the columns {rows.columns}, wanted user_id")
    return rows.select("user_id")


def select_seeds_with_profile(seeds: DataFrame, profiles: DataFrame, setting: str) -> DataFrame:
    """The seeds, a frame with user_id, that have a profile, each once; others are left out.

    Raises InputError, which names `setting` they come from, if there are none.
    """
    wanted = seeds.select("user_id").where(F.col("user_id").isNotNull()).distinct()
    known = wanted.join(profiles.select("user_id"), "user_id", "left_semi")
    n_wanted, n_known = wanted.count(), known.count()
    if not n_known:
        found = f"{n_wanted:,} users, none of whom has a profile" if n_wanted else "no user"
        raise InputError(
            f"{setting}: found {found}; wanted a column user_id of pseudonyms as in user_profiles"
        )
    return known


def fit_lookalike_model(
    profiles: DataFrame, seeds: DataFrame, *, n_sample: int, seed: int, setting: str
) -> LookalikeModel:
    """What tells the seeds from other users: a logistic regression on samples of both.

    Both count alike in all, however few the seeds. Raises InputError where no seed, or nobody else,
    has a usable interest vector.
    """
    of_seeds = sample_vectors(profiles.join(seeds, "user_id", "left_semi"), n_sample, seed)
    others = sample_vectors(profiles.join(seeds, "user_id", "left_anti"), n_sample, seed)
    if not (len(of_seeds) and len(others)):
        whom = "other users" if len(of_seeds) else "seeds"
        raise InputError(f"{setting}: found no {whom} with a usable interest vector, wanted some")
    units = np.vstack([of_seeds, others])
    labels = np.append(np.ones(len(of_seeds), int), np.zeros(len(others), int))
    model = _fit(units, labels)
    auc = held_out_auc(units, labels, seed)
    return LookalikeModel(model.coef_[0], float(model.intercept_[0]), auc, len(of_seeds))


def held_out_auc(units: Floats, labels: np.ndarray, seed: int) -> float | None:
    """ROC-AUC of each fifth of the rows by what was learned of the rest, mean over the fifths.

    Each fifth has its share of seeds. None where there are fewer of one label than fifths.
    """
    if min(np.bincount(labels, minlength=2)) < FOLDS:
        return None
    order = np.random.default_rng(seed).permutation(len(labels))
    fold = np.empty(len(labels), int)
    for label in (0, 1):
        rows = order[labels[order] == label]
        fold[rows] = np.arange(len(rows)) % FOLDS
    aucs = []
    for part in range(FOLDS):
        is_out = fold == part
        scores = _fit(units[~is_out], labels[~is_out]).decision_function(units[is_out])
        aucs.append(roc_auc(labels[is_out], scores))
    return float(np.mean(np.array(aucs, float)))


def find_lookalikes(
    profiles: DataFrame, seeds: DataFrame, lookalike_model: LookalikeModel, n_users: int
) -> DataFrame:
    """(user_id, score): the `n_users` that score highest, seeds not among them, ties by id."""
    others = profiles.join(seeds, "user_id", "left_anti")
    scored = score_users(others, lookalike_model.weights, lookalike_model.intercept)
    return scored.orderBy(F.col("score").desc(), "user_id").limit(n_users)


def _fit(units: Floats, labels: np.ndarray) -> LogisticRegression:
    return LogisticRegression(class_weight="balanced", max_iter=MAX_ITERATIONS).fit(units, labels)
