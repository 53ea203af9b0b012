"""Scores of candidates."""

import numpy as np
import pytest

from profile_lib.recommend.candidates.candidate_set import propose_candidates
from profile_lib.recommend.ranking.scorer import RankerScorer
from tests.recommend.asked import profiles, recent_event
from tests.recommend.small_recommender import small_learned, small_ranker


def test_a_model_scores_each_pair_by_what_its_tasks_are_worth():
    known = small_learned()
    model = small_ranker(known)
    asked = known.reader.read_requests(profiles({"recent": [recent_event(9, "view", "hat")]}, {}))
    pairs = propose_candidates(known.sources, asked, 5)

    def score(**worth):
        return RankerScorer(model, known, worth)(asked, pairs)

    both = score(interacted=1.0, bought=3.0)
    assert both == pytest.approx(score(interacted=1.0) + 3 * score(bought=1.0), rel=1e-5)
    assert (both > 0).all()
    assert len(np.unique(both)) > 2
