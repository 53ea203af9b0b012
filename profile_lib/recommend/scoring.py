"""Candidates in, a score each out: a weighted sum of their sources, or by a model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.candidates import Candidates
from profile_lib.recommend.catalogue import Catalogue
from profile_lib.recommend.interest import mapped
from profile_lib.recommend.pairs import features
from profile_lib.recommend.sources import Asked
from profile_lib.segments import Floats


@dataclass(frozen=True)
class Fused:
    """The sum of a candidate's strengths in its sources, each times the source's weight."""

    weights: Mapping[str, float]

    def __call__(self, asked: Asked, pairs: Candidates) -> Floats:
        """(m,)."""
        return pairs.strengths() @ np.array([self.weights[name] for name in pairs.sources])


@dataclass(frozen=True)
class Ranked:
    """What a model of numbers expects: the sum of the probabilities of its binary tasks, each times
    what it is `worth`.

    `interest` takes interest vectors among the items' texts; `decay` as `features` has it.
    """

    model: ProfileModel
    catalogue: Catalogue
    interest: Floats
    decay: float
    worth: Mapping[str, float]

    def __call__(self, asked: Asked, pairs: Candidates) -> Floats:
        """(m,)."""
        wanted = mapped(asked.vectors, self.interest)
        read = torch.from_numpy(features(asked, wanted, pairs, self.catalogue, self.decay))
        with torch.inference_mode():
            logits = self.model.numbers_only(read)
        return sum(
            worth * torch.sigmoid(logits[task]).numpy() for task, worth in self.worth.items()
        )
