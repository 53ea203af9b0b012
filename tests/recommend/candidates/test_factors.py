"""Test that users are folded in as Spark's ALS would fit them."""

import numpy as np
import pytest
from pyspark.ml.recommendation import ALS

from profile_lib.recommend.candidates import factors
from profile_lib.recommend.candidates.factors import Factors, fit_item_vectors
from profile_lib.recommend.candidates.shared.vector_index import VectorIndex
from profile_lib.recommend.data.arrow_columns import MISSING
from tests.recommend.walks import walk_frame, walk_requests

WALKS = [(0, 1, 2, 0), (0, 1), (3, 4), (3, 4, 5), (1, 2), (4, 5, 3)]
N_ITEMS = 7


def factors_of(items):
    return Factors(items, VectorIndex.build(items, approximate_search_from=100), alpha=2.0, l2=0.1)


RANDOM = factors_of(np.random.default_rng(0).normal(size=(N_ITEMS, 3)).astype(np.float32))


def scores_of(*walks):
    """Score all items: (n walks, N_ITEMS)."""
    return RANDOM.scores(walk_requests(walks), N_ITEMS).toarray()


def test_folded_in_user_vectors_equal_those_of_the_fit(spark):
    weights = [(u, i, float(walk.count(i))) for u, walk in enumerate(WALKS) for i in set(walk)]
    als = ALS(userCol="u", itemCol="i", ratingCol="r", implicitPrefs=True, rank=3, maxIter=4)
    als = als.setAlpha(2.0).setRegParam(0.1).setSeed(1)
    model = als.fit(spark.createDataFrame(weights, "u int, i int, r float"))
    users, items = (
        np.array([r["features"] for r in frame.orderBy("id").collect()], np.float32)
        for frame in (model.userFactors, model.itemFactors)
    )
    folded_in = factors_of(items).fold_in_users(walk_requests(WALKS).histories)
    assert folded_in == pytest.approx(users, abs=1e-4)


def test_items_of_users_with_the_same_taste_score_highest(spark):
    one, other = [(0, 1), (1, 2), (2, 0), (0, 1, 2)], [(3, 4), (4, 5), (5, 3), (3, 4, 5)]
    histories = walk_frame(spark, [*one, *other] * 3)
    items = fit_item_vectors(
        histories, n_items=N_ITEMS, rank=2, iterations=5, alpha=2.0, l2=0.1, seed=1
    )
    source, requests = factors_of(items), walk_requests([(0,), ()])
    scores, without_steps = source.scores(requests, N_ITEMS).toarray()
    assert scores[[1, 2]].min() > scores[[3, 4, 5]].max()
    assert scores[6] == 0  # an item without interactions
    assert not without_steps.any()
    assert source.scores(requests, 2).indptr.tolist() == [0, 2, 2]


def test_users_get_the_same_scores_in_smaller_batches(monkeypatch):
    together = scores_of(*WALKS, ())
    monkeypatch.setattr(factors, "MAX_CELLS", 1)
    assert scores_of(*WALKS, ()) == pytest.approx(together, abs=1e-5)
    one_by_one = np.vstack([scores_of(walk) for walk in [*WALKS, ()]])
    assert one_by_one == pytest.approx(together, abs=1e-5)


@pytest.mark.parametrize("max_cells", [1, 2**22])
def test_the_contributions_of_the_steps_sum_up_to_the_score(monkeypatch, max_cells):
    monkeypatch.setattr(factors, "MAX_CELLS", max_cells)
    y, walk, item = RANDOM.item_vectors.astype(float), [0, 1, 2, 0], 5
    weight = {i: 1 + 2.0 * walk.count(i) for i in walk}
    squares = y.T @ y + sum((weight[i] - 1) * np.outer(y[i], y[i]) for i in set(walk))
    squares += 0.1 * 3 * np.eye(3)
    contributions = {i: y[item] @ np.linalg.solve(squares, y[i]) * weight[i] for i in set(walk)}
    assert scores_of(walk)[0, item] == pytest.approx(sum(contributions.values()), abs=1e-5)
    greatest = max(contributions, key=contributions.get)
    assert contributions[greatest] > 0
    explained = RANDOM.explain(walk_requests([walk, ()]), np.array([0, 1]), np.array([item, item]))
    assert explained.tolist() == [greatest, MISSING]
