"""Find users similar to a list of seed users, and measure the fit."""

from dataclasses import dataclass

import numpy as np
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from profile_lib.arrays.types import Floats
from profile_lib.errors import InputError
from profile_lib.metrics.classification import roc_auc
from profile_lib.segmentation.interest_vectors import sample_vectors, score_users

FOLDS = 5
MAX_ITERATIONS = 1_000  # of the solver


@dataclass(frozen=True)
class LookalikeModel:
    """A logistic regression on unit interest vectors, and how well it finds held-out seeds.

    `weights` has shape (size,). `auc` is the probability that a held-out seed scores above another
    user; None if there are fewer than FOLDS seeds or other users.
    """

    weights: Floats
    intercept: float
    auc: float | None
    n_seeds: int


def read_seeds(spark: SparkSession, file: str, setting: str) -> DataFrame:
    """Read the column `user_id` of a CSV file.

    Raises InputError if the file or the column is missing. `setting` names the setting that holds
    the path.
    """
    try:
        rows = spark.read.option("header", True).csv(file)
    except AnalysisException as error:
        raise InputError(
            f"{setting}: no file at {file}; wanted a CSV with a column user_id"
        ) from error
    if "user_id" not in rows.columns:
        # Without a header the names are ids, which no message may show.
        raise InputError(
            f"{setting}: {file} has {len(rows.columns)} columns, none of them user_id; wanted a "
            "CSV whose first line names user_id"
        )
    return rows.select("user_id")


def select_seeds_with_profile(seeds: DataFrame, profiles: DataFrame, setting: str) -> DataFrame:
    """Select the distinct seeds that have a profile. Raises InputError if there are none."""
    distinct = seeds.select("user_id").where(F.col("user_id").isNotNull()).distinct()
    with_profile = distinct.join(profiles.select("user_id"), "user_id", "left_semi")
    n_seeds, n_with_profile = distinct.count(), with_profile.count()
    if not n_with_profile:
        found = f"{n_seeds:,} users, none of them with a profile" if n_seeds else "no user"
        raise InputError(
            f"{setting}: found {found}; wanted a column user_id of pseudonyms as in user_profiles"
        )
    return with_profile


def fit_lookalike_model(
    profiles: DataFrame, seeds: DataFrame, *, n_sample: int, random_seed: int, setting: str
) -> LookalikeModel:
    """Fit a logistic regression that separates seeds from other users.

    It is fitted on at most `n_sample` of each. Both classes have the same total weight, however few
    the seeds are. Raises InputError if no seed, or no other user, has a usable interest vector.
    """
    others = profiles.join(seeds, "user_id", "left_anti")
    seed_vectors, other_vectors = (
        sample_vectors(users, n_sample, random_seed)
        for users in (profiles.join(seeds, "user_id", "left_semi"), others)
    )
    if not (len(seed_vectors) and len(other_vectors)):
        missing = "other users" if len(seed_vectors) else "seeds"
        raise InputError(
            f"{setting}: found no {missing} with a usable interest vector, wanted some; add users "
            "to the list, or refresh the profiles"
        )
    vectors = np.vstack([seed_vectors, other_vectors])
    labels = np.append(np.ones(len(seed_vectors), int), np.zeros(len(other_vectors), int))
    model = _fit(vectors, labels)
    auc = held_out_auc(vectors, labels, random_seed)
    return LookalikeModel(model.coef_[0], float(model.intercept_[0]), auc, len(seed_vectors))


def held_out_auc(vectors: Floats, labels: np.ndarray, random_seed: int) -> float | None:
    """Return the cross-validated ROC-AUC: the mean over FOLDS stratified folds.

    `vectors` has shape (n, size), `labels` (n,) with 1 for seeds and 0 for others. Returns None if
    there are fewer rows of one label than folds.
    """
    if min(np.bincount(labels, minlength=2)) < FOLDS:
        return None
    order = np.random.default_rng(random_seed).permutation(len(labels))
    fold = np.empty(len(labels), int)
    for label in (0, 1):
        rows = order[labels[order] == label]
        fold[rows] = np.arange(len(rows)) % FOLDS
    aucs = []
    for number in range(FOLDS):
        is_held_out = fold == number
        model = _fit(vectors[~is_held_out], labels[~is_held_out])
        aucs.append(roc_auc(labels[is_held_out], model.decision_function(vectors[is_held_out])))
    return float(np.mean(np.array(aucs, float)))


def find_lookalikes(
    profiles: DataFrame, seeds: DataFrame, lookalike_model: LookalikeModel, n_users: int
) -> DataFrame:
    """Return (user_id, score) of the `n_users` users with the highest scores.

    Seeds are left out; users with equal scores are sorted by id.
    """
    others = profiles.join(seeds, "user_id", "left_anti")
    scored = score_users(others, lookalike_model.weights, lookalike_model.intercept)
    return scored.orderBy(F.col("score").desc(), "user_id").limit(n_users)


def _fit(vectors: Floats, labels: np.ndarray) -> LogisticRegression:
    return LogisticRegression(class_weight="balanced", max_iter=MAX_ITERATIONS).fit(vectors, labels)
