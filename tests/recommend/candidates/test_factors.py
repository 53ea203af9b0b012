"""A user's vector follows from the items' in closed form, as Spark's ALS had fitted it."""

import numpy as np
import pytest
from pyspark.ml.recommendation import ALS

from profile_lib.recommend.candidates import factors
from profile_lib.recommend.candidates.factors import Factors, fit_factors
from profile_lib.recommend.candidates.nearest_items import build_index
from profile_lib.recommend.candidates.source import MISSING
from tests.recommend.walks import walk_frame, walk_requests

WALKS = [(0, 1, 2, 0), (0, 1), (3, 4), (3, 4, 5), (1, 2), (4, 5, 3)]
N_ITEMS = 7


def factors_of(items):
    return Factors(items, build_index(items, approximate_search_from=100), alpha=2.0, l2=0.1)


DRAWN = factors_of(np.random.default_rng(0).normal(size=(N_ITEMS, 3)).astype(np.float32))


def scores_of(*walks):
    """Of all items, (n walks, N_ITEMS)."""
    return DRAWN.scores(walk_requests(walks), N_ITEMS).toarray()


def test_folded_in_vectors_are_those_of_the_fit(spark):
    met = [(u, i, float(walk.count(i))) for u, walk in enumerate(WALKS) for i in set(walk)]
    als = ALS(userCol="u", itemCol="i", ratingCol="r", implicitPrefs=True, rank=3, maxIter=4)
    als = als.setAlpha(2.0).setRegParam(0.1).setSeed(1)
    fitted = als.fit(spark.createDataFrame(met, "u int, i int, r float"))
    users, items = (
        np.array([r["features"] for r in frame.orderBy("id").collect()], np.float32)
        for frame in (fitted.userFactors, fitted.itemFactors)
    )
    ours = factors_of(items).fold_in_users(walk_requests(WALKS).histories)
    assert ours == pytest.approx(users, abs=1e-4)


def test_what_the_like_minded_met_comes_first(spark):
    one, other = [(0, 1), (1, 2), (2, 0), (0, 1, 2)], [(3, 4), (4, 5), (5, 3), (3, 4, 5)]
    frame = walk_frame(spark, [*one, *other] * 3)
    items = fit_factors(frame, n_items=N_ITEMS, rank=2, iterations=5, alpha=2.0, l2=0.1, seed=1)
    source, users = factors_of(items), walk_requests([(0,), ()])
    scores, of_nobody = source.scores(users, N_ITEMS).toarray()
    assert scores[[1, 2]].min() > scores[[3, 4, 5]].max()
    assert scores[6] == 0  # nobody met it
    assert not of_nobody.any()
    assert source.scores(users, 2).indptr.tolist() == [0, 2, 2]


def test_users_are_scored_alone_as_together(monkeypatch):
    together = scores_of(*WALKS, ())
    monkeypatch.setattr(factors, "MAX_CELLS", 1)
    assert scores_of(*WALKS, ()) == pytest.approx(together, abs=1e-5)
    alone = np.vstack([scores_of(walk) for walk in [*WALKS, ()]])
    assert alone == pytest.approx(together, abs=1e-5)


@pytest.mark.parametrize("at_once", [1, 2**22])
def test_a_score_is_the_sum_of_what_the_steps_add(monkeypatch, at_once):
    monkeypatch.setattr(factors, "MAX_CELLS", at_once)
    y, walk, item = DRAWN.item_vectors.astype(float), [0, 1, 2, 0], 5
    weight = {i: 1 + 2.0 * walk.count(i) for i in walk}
    squares = y.T @ y + sum((weight[i] - 1) * np.outer(y[i], y[i]) for i in set(walk))
    squares += 0.1 * 3 * np.eye(3)
    adds = {i: y[item] @ np.linalg.solve(squares, y[i]) * weight[i] for i in set(walk)}
    asked = walk_requests([walk, ()])
    assert scores_of(walk)[0, item] == pytest.approx(sum(adds.values()), abs=1e-5)
    most = max(adds, key=adds.get)
    assert adds[most] > 0
    assert DRAWN.explain(asked, np.array([0, 1]), np.array([item, item])).tolist() == [
        most,
        MISSING,
    ]
