"""Test the ranker's scores of candidates."""

import numpy as np
import pytest

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.ranking.scorer import RankerScorer
from tests.recommend.request_rows import profile_batch, recent_event
from tests.recommend.small_recommender import small_ranker, small_retrieval


def test_a_score_is_the_weighted_sum_of_the_tasks_probabilities():
    retrieval = small_retrieval()
    model = small_ranker(retrieval)
    profiles = profile_batch({"recent": [recent_event(9, "view", "hat")]}, {})
    requests = retrieval.reader.read_requests(profiles)
    pairs = propose_candidates(retrieval.sources, requests, 5)

    def score(**task_weights):
        return RankerScorer(model, retrieval, task_weights)(requests, pairs)

    both = score(interacted=1.0, bought=3.0)
    assert both == pytest.approx(score(interacted=1.0) + 3 * score(bought=1.0), rel=1e-5)
    assert (both > 0).all()
    assert len(np.unique(both)) > 2
