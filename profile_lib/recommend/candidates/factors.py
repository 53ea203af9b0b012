"""Propose items by matrix factorisation, with user vectors computed at each request."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.types import Floats, Longs
from profile_lib.config.section import Amount, Count, Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.explanations import top_contributing_item
from profile_lib.recommend.candidates.shared.vector_index import VectorIndex
from profile_lib.recommend.candidates.source import CandidateSource, SourceData
from profile_lib.recommend.data.histories import Histories
from profile_lib.recommend.data.requests import Requests

USER_BUCKETS = 1024  # users are numbered within buckets: 32-bit numbers without one global sort
MAX_CELLS = 2**22  # values of items' outer products in memory at a time: 16 MiB


class FactorsSettings(Section):
    """How alternating least squares is fitted."""

    rank: Count
    iterations: Count
    alpha: Amount
    l2: Amount


@candidate_source("factors", FactorsSettings)
@dataclass(frozen=True)
class Factors(CandidateSource):
    """Items by alternating least squares on implicit feedback (Hu, Koren & Volinsky 2008).

    `item_vectors`: (n_items, rank), 0 for items without interactions; `index` holds them as well.

    A user's vector is (YᵀY + Σ αr yyᵀ + l2 n I)⁻¹ Σ (1 + αr) y over the user's n items, with
    vectors y and weights r; Y are the vectors of all items. Spark multiplies l2 by n as well (Zhou
    et al. 2008).
    """

    item_vectors: Floats
    index: VectorIndex
    alpha: float
    l2: float

    is_seeded = True
    default_reason = "because you looked at {item}"

    @classmethod
    def fit(cls, data: SourceData, settings: FactorsSettings) -> "Factors":
        """Fit by `fit_item_vectors`."""
        vectors = fit_item_vectors(
            data.histories, n_items=data.n_items, seed=data.seed, **settings.model_dump()
        )
        index = VectorIndex.build(vectors, data.approximate_search_from)
        return cls(vectors, index, settings.alpha, settings.l2)

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the products of user and item vectors; a user without steps gets no items."""
        steps = requests.histories
        users = np.unique(steps.user)
        vectors = self.fold_in_users(steps)[users]
        return self.index.search_for_users(vectors, users, steps.n_users, k)

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """Return the item of the step that contributes most to the product.

        The product is attributed to the steps as in section 5 of Hu, Koren & Volinsky (2008).
        """
        steps = requests.histories
        weights = self._item_weights(steps)
        influence = np.zeros((len(user), self.item_vectors.shape[1]), np.float32)
        for part in self._parts(np.ones(len(user), np.int64)):
            users, row = np.unique(user[part], return_inverse=True)
            squares = self._regularised_squares(weights[users])[row]
            candidates = self.item_vectors[item[part], :, None]
            influence[part] = np.linalg.solve(squares, candidates)[:, :, 0]
        pair, step = steps.steps_of_users(user)
        confidence = 1 + self.alpha * np.asarray(weights[user[pair], steps.items[step]]).ravel()
        products = (influence[pair] * self.item_vectors[steps.items[step]]).sum(axis=1)
        return top_contributing_item(steps, len(user), pair, step, products * confidence)

    def fold_in_users(self, steps: Histories) -> Floats:
        """Return the vectors that the fit would give these users, (n, rank).

        The vector of a user without steps is 0.
        """
        weights = self._item_weights(steps)
        vectors = np.zeros((steps.n_users, self.item_vectors.shape[1]), np.float32)
        for part in self._parts(np.diff(weights.indptr)):
            confidence = weights[part]
            squares = self._regularised_squares(confidence)
            confidence.data = 1 + self.alpha * confidence.data
            targets = (confidence @ self.item_vectors)[:, :, None]
            vectors[part] = np.linalg.solve(squares, targets)[:, :, 0]
        return vectors

    def _item_weights(self, steps: Histories) -> sparse.csr_array:
        """Sum the weights of each user's steps by item, (n, n_items)."""
        return steps.matrix(steps.weights, len(self.item_vectors))

    def _regularised_squares(self, weights: sparse.csr_array) -> Floats:
        """Return the matrix that is inverted for each user.

        It is YᵀY + Σ αr yyᵀ + l2 n I, (n, rank, rank).
        """
        y, n_of_user = self.item_vectors[weights.indices], np.diff(weights.indptr)
        products = (self.alpha * weights.data[:, None] * y)[:, :, None] * y[:, None, :]
        zeros = np.zeros((1, *self._gram.shape), np.float32)  # reduceat needs a row at the end
        sums = np.add.reduceat(np.append(products, zeros, axis=0), weights.indptr[:-1])
        sums[n_of_user == 0] = 0
        l2 = self.l2 * np.maximum(n_of_user, 1)
        return self._gram + sums + l2[:, None, None] * np.eye(y.shape[1], dtype=np.float32)

    @cached_property
    def _gram(self) -> Floats:
        """YᵀY, (rank, rank)."""
        return self.item_vectors.T @ self.item_vectors

    def _parts(self, n_steps: Longs) -> Iterator[slice]:
        """Yield slices of consecutive rows whose steps fit into MAX_CELLS."""
        max_steps = max(MAX_CELLS // self.item_vectors.shape[1] ** 2, 1)
        part = np.cumsum(n_steps) // max_steps
        bounds = [0, *(np.flatnonzero(np.diff(part)) + 1), len(n_steps)]
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            yield slice(int(start), int(end))


def fit_item_vectors(
    histories: DataFrame,
    *,
    n_items: int,
    rank: int,
    iterations: int,
    alpha: float,
    l2: float,
    seed: int,
) -> Floats:
    """Fit item vectors, (n_items, rank), to histories (user_id and STEPS).

    The confidence that a user likes an item is 1 + `alpha` times the sum of the weights of the
    user's steps with it.
    """
    from pyspark.ml.recommendation import ALS

    weights = (
        _number_users(histories)
        .select("user", F.explode(F.arrays_zip("items", "weights")).alias("step"))
        .groupBy("user", F.col("step.items").alias("item"))
        .agg(F.sum("step.weights").cast("float").alias("weight"))
    )
    als = ALS(
        userCol="user",
        itemCol="item",
        ratingCol="weight",
        rank=rank,
        maxIter=iterations,
        regParam=l2,
        implicitPrefs=True,
        alpha=alpha,
        seed=seed,
    )
    factors = als.fit(weights).itemFactors.toPandas()  # one row per item
    vectors = np.zeros((n_items, rank), np.float32)
    if len(factors):
        vectors[factors["id"]] = np.stack(factors["features"].to_list())
    return vectors


def _number_users(histories: DataFrame) -> DataFrame:
    """Add `user`, a 32-bit number of each user_id, because ALS takes no others."""
    bucket = F.pmod(F.xxhash64("user_id"), F.lit(USER_BUCKETS))
    within = F.row_number().over(Window.partitionBy("bucket").orderBy("user_id"))
    number = ((within - 1) * USER_BUCKETS + F.col("bucket")).cast("int")
    return histories.withColumn("bucket", bucket).withColumn("user", number)
