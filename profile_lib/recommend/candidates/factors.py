"""Histories in, a vector of each item out, from which any user's vector follows in closed form."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import faiss
import numpy as np
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.candidates.nearest_items import search_nearest
from profile_lib.recommend.candidates.source import Requests, top_contributing_item
from profile_lib.recommend.data.histories import Histories

USER_BUCKETS = (
    1024  # of users, each of which counts its own: numbers that fit 32 bits, in no one place
)
MAX_CELLS = 2**22  # of the squares of items' vectors: 16 MiB


@dataclass(frozen=True)
class Factors:
    """`item_vectors`: (n_items, rank), a vector of each, 0 where nobody met it, fitted by alternating
    least squares (Hu, Koren & Volinsky 2008) with these `alpha` and `l2`; `index` holds them.

    A user's vector is (YᵀY + Σ αr yyᵀ + l2 n I)⁻¹ Σ (1 + αr) y, where the user met n items y with
    weights r; Spark weighs l2 by n as well (Zhou et al. 2008).
    """

    item_vectors: Floats
    index: faiss.Index
    alpha: float
    l2: float

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """The product of the user's vector and the item's; nothing where a user has no steps."""
        steps = requests.histories
        known = np.unique(steps.user)
        return search_nearest(self.index, self.fold_in_users(steps)[known], known, steps.n_users, k)

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """The step that adds most to the product, taken apart as Hu, Koren & Volinsky do."""
        steps = requests.histories
        met = self._met(steps)
        like = np.zeros((len(user), self.item_vectors.shape[1]), np.float32)
        for part in self._parts(np.ones(len(user), np.int64)):
            users, of_user = np.unique(user[part], return_inverse=True)
            squares = self._squares(met[users])[of_user]
            like[part] = np.linalg.solve(squares, self.item_vectors[item[part], :, None])[:, :, 0]
        pair, step = steps.steps_of_users(user)
        confidence = 1 + self.alpha * np.asarray(met[user[pair], steps.items[step]]).ravel()
        says = (like[pair] * self.item_vectors[steps.items[step]]).sum(axis=1) * confidence
        return top_contributing_item(steps, len(user), pair, step, says)

    def fold_in_users(self, steps: Histories) -> Floats:
        """(n, rank): the vectors that the fit would have given to these users, 0 without steps."""
        met = self._met(steps)
        vectors = np.zeros((steps.n_users, self.item_vectors.shape[1]), np.float32)
        for part in self._parts(np.diff(met.indptr)):
            own = met[part]
            squares = self._squares(own)
            own.data = 1 + self.alpha * own.data
            vectors[part] = np.linalg.solve(squares, (own @ self.item_vectors)[:, :, None])[:, :, 0]
        return vectors

    def _met(self, steps: Histories) -> sparse.csr_array:
        return steps.matrix(steps.weights, len(self.item_vectors))

    def _squares(self, met: sparse.csr_array) -> Floats:
        """(n, rank, rank): what is inverted for each of these users."""
        y, n_met = self.item_vectors[met.indices], np.diff(met.indptr)
        products = (self.alpha * met.data[:, None] * y)[:, :, None] * y[:, None, :]
        of_user = np.add.reduceat(np.append(products, self._nothing, axis=0), met.indptr[:-1])
        of_user[n_met == 0] = 0
        l2 = self.l2 * np.maximum(n_met, 1)
        return self._of_all + of_user + l2[:, None, None] * np.eye(y.shape[1], dtype=np.float32)

    @cached_property
    def _of_all(self) -> Floats:
        return self.item_vectors.T @ self.item_vectors

    @property
    def _nothing(self) -> Floats:
        return np.zeros((1, *self._of_all.shape), np.float32)

    def _parts(self, n_steps: Longs) -> Iterator[slice]:
        """Of rows side by side, with not many more steps together than MAX_CELLS allow."""
        part = np.cumsum(n_steps) // max(MAX_CELLS // self.item_vectors.shape[1] ** 2, 1)
        bounds = [0, *(np.flatnonzero(np.diff(part)) + 1), len(n_steps)]
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            yield slice(int(start), int(end))


def fit_factors(
    histories: DataFrame,
    *,
    n_items: int,
    rank: int,
    iterations: int,
    alpha: float,
    l2: float,
    seed: int,
) -> Floats:
    """(n_items, rank) of histories (user_id and STEPS).

    A user is the surer to like an item, 1 + `alpha` times its weight, the more the weights of the
    user's steps with it sum up to.
    """
    met = (
        _numbered(histories)
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
    found = als.fit(met).itemFactors.toPandas()  # grows with items
    items = np.zeros((n_items, rank), np.float32)
    if len(found):
        items[found["id"]] = np.stack(found["features"].to_list())
    return items


def _numbered(histories: DataFrame) -> DataFrame:
    """With `user`, a number of each user_id: ALS takes none but 32 bits."""
    bucket = F.pmod(F.xxhash64("user_id"), F.lit(USER_BUCKETS))
    within = F.row_number().over(Window.partitionBy("bucket").orderBy("user_id"))
    number = ((within - 1) * USER_BUCKETS + F.col("bucket")).cast("int")
    return histories.withColumn("bucket", bucket).withColumn("user", number)
