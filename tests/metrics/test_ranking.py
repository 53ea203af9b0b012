"""Ranks and what they are measured by agree with scikit-learn, with Spark, and with arithmetic."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from profile_lib.metrics import ranking as ranks
from profile_lib.metrics import ranking_spark as ranks_spark

K = 3


@st.composite
def lists(draw, tied=False):
    """Scores (users, items), and what the users were to find: user, item, relevance."""
    n_users, n_items = draw(st.integers(1, 4)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=float), (n_users, 1)), axis=1)
    if tied:
        scores //= 2
    gains = rng.integers(0, 4, (n_users, n_items)) * (rng.random((n_users, n_items)) < 0.5)
    gains[:, 0] = np.maximum(gains[:, 0], 1)
    user, item = np.nonzero(gains)
    return scores, user, item, gains[user, item].astype(float), gains.astype(float)


@settings(deadline=None)
@given(lists())
def test_measures_agree_with_scikit_learn(drawn):
    scores, user, item, relevance, gains = drawn
    rank = ranks.rank_relevant_items(scores, user, item, relevance)
    found, all_of_it = (
        ranks.ranking_metrics_per_user(user, rank, relevance, k) for k in (K, scores.shape[1])
    )
    auc = ranks.auc_per_user(user, rank, np.full(len(scores), scores.shape[1]))
    for u, (row, told) in enumerate(zip(gains, scores, strict=True)):
        assert found["ndcg"][u] == pytest.approx(reference.ndcg_score([row], [told], k=K))
        assert all_of_it["map"][u] == pytest.approx(
            reference.average_precision_score(row > 0, told)
        )
        said = np.argsort(-told)[:K]
        is_said = np.isin(np.arange(len(row)), said)
        assert found["recall"][u] == pytest.approx(reference.recall_score(row > 0, is_said))
        assert found["precision"][u] == pytest.approx((row[said] > 0).sum() / K)
        assert found["hit_rate"][u] == (row[said] > 0).any()
        if (row > 0).all():
            assert np.isnan(auc[u])
        else:
            assert auc[u] == pytest.approx(reference.roc_auc_score(row > 0, told))


@given(lists(tied=True))
def test_a_rank_is_the_worst_place_that_equal_scores_allow(drawn):
    scores, user, item, relevance, gains = drawn
    rank = ranks.rank_relevant_items(scores, user, item, relevance)
    worst = np.lexsort((gains, -scores))  # of equal scores the least relevance comes first
    place = np.argsort(worst, axis=1) + 1
    assert sorted(zip(user, rank, relevance, strict=True)) == sorted(
        zip(user, place[user, item], relevance, strict=True)
    )


@given(lists(tied=True))
def test_the_truth_itself_is_measured_by_one(drawn):
    _, user, item, relevance, gains = drawn
    found = ranks.ranking_metrics_per_user(
        user, ranks.rank_relevant_items(gains, user, item, relevance), relevance, K
    )
    assert found["ndcg"] == pytest.approx(1)
    assert found["map"] == pytest.approx(1)
    assert found["mrr"] == pytest.approx(1)


def test_what_is_masked_has_no_rank_and_competes_with_none():
    scores = np.array([[3.0, -np.inf, 1.0], [-np.inf, -1.0, 0.0]])
    user, item, relevance = np.array([0, 0, 1]), np.array([1, 2, 1]), np.ones(3)
    assert ranks.rank_relevant_items(scores, user, item, relevance).tolist() == [np.inf, 2, 2]


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="1 scores are no number"):
        ranks.rank_relevant_items(
            np.array([[np.nan, 1.0]]), np.array([0]), np.array([1]), np.ones(1)
        )


def test_variety_by_hand():
    found = ranks.catalog_metrics(np.array([0, 0, 0, 1]), np.array([4, 2, 2, 0]))
    assert found["coverage"] == 0.5
    assert found["novelty"] == pytest.approx((3 * 1 + 2) / 4)
    assert found["gini"] == pytest.approx((-3 * 0 - 1 * 0 + 1 * 1 + 3 * 3) / (4 * 4))


def test_an_interval_of_equal_differences_is_that_difference():
    theirs = np.random.default_rng(0).random(50)
    assert ranks.paired_bootstrap_interval(theirs + 0.25, theirs, 100, 1) == pytest.approx(
        [0.25, 0.25]
    )


@settings(max_examples=8, deadline=None)
@given(lists(), st.integers(1, 5))
def test_spark_says_the_same(spark, drawn, k):
    scores, user, item, relevance, _ = drawn
    rank = ranks.rank_relevant_items(scores, user, item, relevance)
    users, items = np.indices(scores.shape)
    place = np.argsort(np.argsort(-scores, axis=1), axis=1) + 1
    listed = place <= 4
    told = pd.DataFrame({"user_id": users[listed], "item_id": items[listed], "rank": place[listed]})
    relevant = pd.DataFrame({"user_id": user, "item_id": item, "relevance": relevance})
    found = ranks_spark.rank_relevant(spark.createDataFrame(told), spark.createDataFrame(relevant))
    ours = ranks_spark.ranking_metrics_per_user(found, k).orderBy("user_id").toPandas()
    theirs = ranks.ranking_metrics_per_user(user, np.where(rank <= 4, rank, np.inf), relevance, k)
    for name in ranks.RANKING_METRICS:
        assert ours[name].to_numpy() == pytest.approx(theirs[name]), name


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(0, 9))
def test_spark_tells_the_same_variety(spark, listed, seed):
    n_interactions = np.random.default_rng(seed).integers(0, 20, 6) + np.eye(6, dtype=int)[0]
    lists = spark.createDataFrame(pd.DataFrame({"item_id": listed}))
    seen = spark.createDataFrame(
        pd.DataFrame({"item_id": range(6), "n_interactions": n_interactions})
    )
    (row,) = ranks_spark.catalog_metrics(lists, seen).collect()
    assert row.asDict() == pytest.approx(ranks.catalog_metrics(np.array(listed), n_interactions))


def test_spark_resamples_users_as_numpy_does_however_they_are_parted(spark):
    values = np.random.default_rng(0).normal(size=(400, 2))
    values[:, 0] += 0.1
    names = [f"u{number}" for number in range(400)]
    ours, theirs = (
        spark.createDataFrame(pd.DataFrame({"user_id": names, "ndcg": column}))
        for column in values.T
    )
    rules = {"n_resamples": 2000, "seed": 1}
    found = ranks_spark.paired_bootstrap_interval(ours, theirs.repartition(3), "ndcg", **rules)
    assert found == pytest.approx(
        ranks.paired_bootstrap_interval(*values.T, 2000, seed=1), abs=0.02
    )
    assert ranks_spark.paired_bootstrap_interval(ours.limit(0), theirs, "ndcg", **rules) is None
    again = ranks_spark.paired_bootstrap_interval(ours.repartition(5), theirs, "ndcg", **rules)
    assert again == pytest.approx(found)
