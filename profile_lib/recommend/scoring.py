"""Candidates in, a score each out, by a fitted model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.candidates import Candidates
from profile_lib.recommend.learned import Learned
from profile_lib.recommend.ranker_rows import read_pairs
from profile_lib.recommend.sources import Asked
from profile_lib.segments import Floats

AT_ONCE = 1024  # pairs: what a model makes of them stays near the processor


@dataclass(frozen=True)
class Ranked:
    """What a model of numbers expects: the sum of the probabilities of its binary tasks, each times
    what it is `worth`."""

    model: ProfileModel
    known: Learned
    worth: Mapping[str, float]

    def __call__(self, asked: Asked, pairs: Candidates) -> Floats:
        """(m,)."""
        read = torch.from_numpy(read_pairs(self.known, asked, pairs))
        with torch.inference_mode():
            return np.concatenate([self._expected(part) for part in read.split(AT_ONCE)])

    def _expected(self, read: Tensor) -> Floats:
        logits = self.model.numbers_only(read)
        score = np.zeros(len(read), np.float32)
        for task, worth in self.worth.items():
            score += worth * torch.sigmoid(logits[task]).numpy()
        return score
