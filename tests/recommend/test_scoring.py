"""Scores of candidates."""

import numpy as np
import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.model.spec import ModelSpec
from profile_lib.model.tasks import TaskSpec
from profile_lib.recommend.candidates import Candidates
from profile_lib.recommend.pairs import feature_names
from profile_lib.recommend.scoring import Ranked
from tests.recommend.asked import asked
from tests.recommend.test_recommender import BOOT, HAT, SHOE, catalogue

NAN = np.nan
PAIRS = Candidates(
    ("together", "popular"),
    np.array([0, 0]),
    np.array([BOOT, HAT]),
    np.array([[3, NAN], [4, 2]], np.float32),
)


def test_a_model_scores_each_pair_by_what_its_tasks_are_worth():
    torch.manual_seed(1)
    names = feature_names(PAIRS.sources, size=2)
    tasks = (TaskSpec(name="met", kind="binary"), TaskSpec(name="bought", kind="binary"))
    spec = ModelSpec(
        tasks=tasks, numeric=tuple(names), numeric_bins=2, numeric_hidden=8, joined_size=4,
        dropout=0.1, max_tokens=8, separator_id=3, bert=None,
    )  # fmt: skip
    model = ProfileModel(spec).eval()
    users = asked([SHOE], vectors=[[1.0, 2.0]])
    interest = np.array([[1, 0], [0, 1], [0, 0]], np.float32)

    def score(**worth):
        return Ranked(model, catalogue(), interest, 0.8, worth)(users, PAIRS)

    both = score(met=1.0, bought=3.0)
    np.testing.assert_allclose(both, score(met=1.0) + 3 * score(bought=1.0), rtol=1e-6)
    assert np.isfinite(both).all()
    assert both[0] != both[1]
