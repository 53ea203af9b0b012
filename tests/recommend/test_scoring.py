"""Scores of candidates."""

import numpy as np
import pytest

from profile_lib.recommend.candidates import candidates
from profile_lib.recommend.scoring import Ranked
from tests.recommend.asked import act, profiles
from tests.recommend.small_recommender import small_learned, small_ranker


def test_a_model_scores_each_pair_by_what_its_tasks_are_worth():
    known = small_learned()
    model = small_ranker(known)
    asked = known.reader.asked(profiles({"recent": [act(9, "view", "hat")]}, {}))
    pairs = candidates(known.sources, asked, 5)

    def score(**worth):
        return Ranked(model, known, worth)(asked, pairs)

    both = score(met=1.0, bought=3.0)
    assert both == pytest.approx(score(met=1.0) + 3 * score(bought=1.0), rel=1e-5)
    assert (both > 0).all()
    assert len(np.unique(both)) > 2
