"""Ranking metrics agree with scikit-learn, with their Spark versions and with arithmetic."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from profile_lib.metrics import bootstrap, ranking, ranking_spark

K = 3


@st.composite
def lists(draw, tied=False):
    """Draw scores (users, items), the user, item and relevance of relevant items, and a matrix of
    all relevances."""
    n_users, n_items = draw(st.integers(1, 4)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=float), (n_users, 1)), axis=1)
    if tied:
        scores //= 2
    relevances = rng.integers(0, 4, (n_users, n_items)) * (rng.random((n_users, n_items)) < 0.5)
    relevances[:, 0] = np.maximum(relevances[:, 0], 1)
    user, item = np.nonzero(relevances)
    return scores, user, item, relevances[user, item].astype(float), relevances.astype(float)


@given(lists())
def test_metrics_agree_with_scikit_learn(drawn):
    scores, user, item, relevance, relevances = drawn
    rank = ranking.rank_relevant_items(scores, user, item, relevance)
    at_k, at_all = (
        ranking.ranking_metrics_per_user(user, rank, relevance, k) for k in (K, scores.shape[1])
    )
    auc = ranking.auc_per_user(user, rank, np.full(len(scores), scores.shape[1]))
    for u, (row, score) in enumerate(zip(relevances, scores, strict=True)):
        is_relevant = row > 0
        top = np.argsort(-score)[:K]
        is_top = np.isin(np.arange(len(row)), top)
        assert at_k["ndcg"][u] == pytest.approx(reference.ndcg_score([row], [score], k=K))
        assert at_all["map"][u] == pytest.approx(
            reference.average_precision_score(is_relevant, score)
        )
        assert at_k["recall"][u] == pytest.approx(reference.recall_score(is_relevant, is_top))
        assert at_k["precision"][u] == pytest.approx(is_relevant[top].sum() / K)
        assert at_k["hit_rate"][u] == is_relevant[top].any()
        if is_relevant.all():
            assert np.isnan(auc[u])
        else:
            assert auc[u] == pytest.approx(reference.roc_auc_score(is_relevant, score))


@given(lists(tied=True))
def test_items_with_equal_scores_are_ranked_least_relevant_first(drawn):
    scores, user, item, relevance, relevances = drawn
    rank = ranking.rank_relevant_items(scores, user, item, relevance)
    worst = np.lexsort((relevances, -scores))  # of equal scores the least relevant comes first
    place = np.argsort(worst, axis=1) + 1
    assert sorted(zip(user, rank, relevance, strict=True)) == sorted(
        zip(user, place[user, item], relevance, strict=True)
    )


@given(lists(tied=True))
def test_scores_equal_to_the_relevance_have_the_best_metrics(drawn):
    _, user, item, relevance, relevances = drawn
    rank = ranking.rank_relevant_items(relevances, user, item, relevance)
    actual = ranking.ranking_metrics_per_user(user, rank, relevance, K)
    assert actual["ndcg"] == pytest.approx(1)
    assert actual["map"] == pytest.approx(1)
    assert actual["mrr"] == pytest.approx(1)


def test_a_masked_item_has_no_rank_and_changes_no_rank_of_others():
    scores = np.array([[3.0, -np.inf, 1.0], [-np.inf, -1.0, 0.0]])
    user, item, relevance = np.array([0, 0, 1]), np.array([1, 2, 1]), np.ones(3)
    assert ranking.rank_relevant_items(scores, user, item, relevance).tolist() == [np.inf, 2, 2]


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="scores: found 1 NaN, wanted numbers"):
        ranking.rank_relevant_items(
            np.array([[np.nan, 1.0]]), np.array([0]), np.array([1]), np.ones(1)
        )


def test_catalog_metrics_agree_with_arithmetic():
    actual = ranking.catalog_metrics(np.array([0, 0, 0, 1]), np.array([4, 2, 2, 0]))
    assert actual["coverage"] == 0.5
    assert actual["novelty"] == pytest.approx((3 * 1 + 2) / 4)
    assert actual["gini"] == pytest.approx((-3 * 0 - 1 * 0 + 1 * 1 + 3 * 3) / (4 * 4))


def test_the_bootstrap_interval_of_equal_differences_is_that_difference():
    baseline = np.random.default_rng(0).random(50)
    assert bootstrap.paired_bootstrap_interval(baseline + 0.25, baseline, 100, 1) == pytest.approx(
        [0.25, 0.25]
    )


@settings(max_examples=4)
@given(lists(), st.integers(1, 5))
def test_spark_computes_the_same_metrics_per_user(spark, drawn, k):
    scores, user, item, relevance, _ = drawn
    rank = ranking.rank_relevant_items(scores, user, item, relevance)
    users, items = np.indices(scores.shape)
    place = np.argsort(np.argsort(-scores, axis=1), axis=1) + 1
    is_listed = place <= 4
    lists_frame = pd.DataFrame(
        {"user_id": users[is_listed], "item_id": items[is_listed], "rank": place[is_listed]}
    )
    relevant = pd.DataFrame({"user_id": user, "item_id": item, "relevance": relevance})
    ranked = ranking_spark.rank_relevant(
        spark.createDataFrame(lists_frame), spark.createDataFrame(relevant)
    )
    actual = ranking_spark.ranking_metrics_per_user(ranked, k).orderBy("user_id").toPandas()
    rank = np.where(rank <= 4, rank, np.inf)
    expected = ranking.ranking_metrics_per_user(user, rank, relevance, k)
    for name in ranking.RANKING_METRICS:
        assert actual[name].to_numpy() == pytest.approx(expected[name]), name


@settings(max_examples=4)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(0, 9))
def test_spark_computes_the_same_catalog_metrics(spark, listed, seed):
    n_interactions = np.random.default_rng(seed).integers(0, 20, 6) + np.eye(6, dtype=int)[0]
    lists = spark.createDataFrame(pd.DataFrame({"item_id": listed}))
    catalog = spark.createDataFrame(
        pd.DataFrame({"item_id": range(6), "n_interactions": n_interactions})
    )
    (row,) = ranking_spark.catalog_metrics(lists, catalog).collect()
    assert row.asDict() == pytest.approx(ranking.catalog_metrics(np.array(listed), n_interactions))


def test_spark_resamples_users_as_numpy_does_in_any_partitioning(spark):
    values = np.random.default_rng(0).normal(size=(400, 2))
    values[:, 0] += 0.1
    names = [f"u{number}" for number in range(400)]
    measures, baseline = (
        spark.createDataFrame(pd.DataFrame({"user_id": names, "ndcg": column}))
        for column in values.T
    )
    interval = partial(
        ranking_spark.paired_bootstrap_interval, measure="ndcg", n_resamples=2000, seed=1
    )
    actual = interval(measures, baseline.repartition(3))
    expected = bootstrap.paired_bootstrap_interval(*values.T, 2000, seed=1)
    assert actual == pytest.approx(expected, abs=0.02)
    assert interval(measures.limit(0), baseline) is None
    assert interval(measures.repartition(5), baseline) == pytest.approx(actual)
