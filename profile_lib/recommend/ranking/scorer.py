"""Score candidates by the fitted ranker."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from profile_lib.arrays.types import Floats
from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.candidates.candidate_set import Candidates
from profile_lib.recommend.data.requests import Requests
from profile_lib.recommend.ranking.examples import compute_ranker_features
from profile_lib.recommend.retrieval_model import RetrievalModel

MAX_PAIRS_PER_BATCH = 1024  # so that the model's intermediate values stay in the processor's cache


@dataclass(frozen=True)
class RankerScorer:
    """A scorer of candidates by the weighted sum of the model's task probabilities."""

    model: ProfileModel
    retrieval: RetrievalModel
    task_weights: Mapping[str, float]

    def __call__(self, requests: Requests, pairs: Candidates) -> Floats:
        """Return the scores of the pairs, (m,)."""
        numbers = torch.from_numpy(compute_ranker_features(self.retrieval, requests, pairs))
        with torch.inference_mode():
            parts = [self._score(part) for part in numbers.split(MAX_PAIRS_PER_BATCH)]
        return np.concatenate(parts)

    def _score(self, numbers: Tensor) -> Floats:
        logits = self.model.predict_without_text(numbers)
        score = np.zeros(len(numbers), np.float32)
        for task, weight in self.task_weights.items():
            score += weight * torch.sigmoid(logits[task]).numpy()
        return score
