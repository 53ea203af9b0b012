"""Propose items whose texts are near the profile's interest vector."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.arrays.types import Floats
from profile_lib.config.section import Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.interest_map import map_interests
from profile_lib.recommend.candidates.shared.vector_index import VectorIndex
from profile_lib.recommend.candidates.source import CandidateSource, Need, SourceData
from profile_lib.recommend.data.requests import Requests


class InterestSettings(Section):
    """No settings: the vectors and their map are those of the recommender."""


@candidate_source("interest", InterestSettings)
@dataclass(frozen=True)
class Interest(CandidateSource):
    """Items near the interest vector, which `interest_map` maps to a text vector.

    `index`: the items' text vectors, of length 1. No single item of the history explains a
    candidate, because the interest vector summarises all of them.
    """

    index: VectorIndex
    interest_map: Floats

    needs = frozenset({Need.TEXTS, Need.INTERESTS})
    default_reason = "fits your interests"

    @classmethod
    def fit(cls, data: SourceData, settings: InterestSettings) -> "Interest":
        """Index the items' vectors; the map was fitted before."""
        assert data.interest_map is not None
        return cls(VectorIndex.build(data.vectors, data.approximate_search_from), data.interest_map)

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the cosine of interest and item; a user without interest vector gets no items."""
        users = np.flatnonzero(np.isfinite(requests.interest_vectors).all(axis=1))
        vectors = map_interests(requests.interest_vectors[users], self.interest_map)
        return self.index.search_for_users(vectors, users, requests.histories.n_users, k)
