"""Recommendation methods are compared on a shop's held-out interactions."""

import json

import pytest

from profile_lib.config.settings import with_values
from profile_lib.pipelines import evaluate_recommendations

pytestmark = pytest.mark.trial


def test_neighbours_beat_popularity_and_measures_are_in_range(notebook_shop, tmp_path):
    store, settings = notebook_shop
    small = {
        "evaluate.report": str(tmp_path), "evaluate.methods.sasrec.epochs": 1,
        "evaluate.methods.als.rank": 4, "evaluate.methods.als.iterations": 2,
    }  # fmt: skip
    evaluate_recommendations.run(store, with_values(settings, small))
    methods = json.loads((tmp_path / "recommendations.json").read_text())["methods"]
    assert set(methods) == set(settings.evaluate.chosen)
    assert methods["item_knn"]["1"]["ndcg"] > methods["popularity"]["1"]["ndcg"]
    for measures in methods.values():
        assert 0 <= measures["1"]["ndcg"] <= measures["1"]["hit_rate"] <= 1
