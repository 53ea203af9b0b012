"""Candidates in, a score each out, by a fitted model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from profile_lib.arrays.groups import Floats
from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.candidates.candidate_set import Candidates
from profile_lib.recommend.candidates.source import Requests
from profile_lib.recommend.data.artifacts import RetrievalModel
from profile_lib.recommend.ranking.examples import compute_ranker_features

MAX_PAIRS_PER_BATCH = 1024  # pairs: what a model makes of them stays near the processor


@dataclass(frozen=True)
class RankerScorer:
    """What a model of numbers expects: the sum of the probabilities of its binary tasks, each times
    what it is `task_weights`."""

    model: ProfileModel
    retrieval: RetrievalModel
    task_weights: Mapping[str, float]

    def __call__(self, requests: Requests, pairs: Candidates) -> Floats:
        """(m,)."""
        read = torch.from_numpy(compute_ranker_features(self.retrieval, requests, pairs))
        with torch.inference_mode():
            return np.concatenate(
                [self._expected(part) for part in read.split(MAX_PAIRS_PER_BATCH)]
            )

    def _expected(self, read: Tensor) -> Floats:
        logits = self.model.predict_without_text(read)
        score = np.zeros(len(read), np.float32)
        for task, worth in self.task_weights.items():
            score += worth * torch.sigmoid(logits[task]).numpy()
        return score
