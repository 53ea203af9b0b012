"""Candidates in, a score each out, by a fitted model."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from profile_lib.model.encoder import ProfileModel
from profile_lib.recommend.candidates import Candidates
from profile_lib.recommend.catalogue import Catalogue
from profile_lib.recommend.interest import mapped
from profile_lib.recommend.pairs import features
from profile_lib.recommend.sources import Asked
from profile_lib.segments import Floats


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
