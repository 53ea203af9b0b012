"""Combine sources by weights that are chosen on held-out items.

Scores of different sources can be summed because they are normalised: see `Candidates`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from scipy import sparse

from profile_lib.config.section import Count, FolderName, Section
from profile_lib.recommend.candidates.candidate_set import (
    interacted_before,
    propose_candidates,
    scatter_to_matrix,
)
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.fusion_weights import (
    WeightedSum,
    choose_weights,
    draw_weights,
)
from profile_lib.recommend.candidates.shared.packing import State
from profile_lib.recommend.candidates.shared.top_k import top_k
from profile_lib.recommend.candidates.source import CandidateSource, Need, SourceData
from profile_lib.recommend.candidates.storage import pack_sources, unpack_sources
from profile_lib.recommend.data.requests import Requests


class FusedSettings(Section):
    """Which sources are combined and how weights are chosen."""

    methods: list[FolderName] = Field(min_length=1)  # names of other sources
    candidates_per_source: Count
    n_draws: Count  # random weights that are tried, in addition to each source alone


@candidate_source("fused", FusedSettings)
@dataclass(frozen=True)
class Fused(CandidateSource):
    """Items by a weighted sum of other sources' normalised scores, without those of the history.

    `validation_ndcg`: the NDCG of the chosen `weights` on the held-out items.
    """

    sources: Mapping[str, CandidateSource]
    weights: Mapping[str, float]
    candidates_per_source: int
    n_items: int
    validation_ndcg: float

    needs = frozenset({Need.VALIDATION})
    is_seeded = True

    @classmethod
    def fit(cls, data: SourceData, settings: FusedSettings) -> "Fused":
        """Choose weights on the held-out items, then fit the sources to all histories."""
        assert data.validation is not None
        validation, names = data.validation, settings.methods
        weighted, ndcg = choose_weights(
            validation.requests,
            {name: validation.fit_before(name) for name in names},
            draw_weights(len(names), settings.n_draws, data.seed),
            candidates_per_source=settings.candidates_per_source,
            k=validation.k,
        )
        sources = {name: validation.fit_all(name) for name in names}
        rules = (settings.candidates_per_source, data.n_items, ndcg)
        return cls(sources, dict(weighted.weights), *rules)

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the `k` highest weighted sums of each user."""
        return top_k(self.score_all(requests, self.n_items), k)

    def score_all(self, requests: Requests, n_items: int) -> sparse.csr_array:
        """Score the proposals of the sources, about `candidates_per_source` items of each."""
        pairs = propose_candidates(self.sources, requests, self.candidates_per_source)
        pairs = pairs.where(~interacted_before(requests, pairs, bought=False))
        scores = WeightedSum(self.weights)(requests, pairs)
        return scatter_to_matrix(pairs, scores, requests.histories.n_users, n_items)

    @property
    def choices(self) -> dict[str, Any]:
        """The weights, and their NDCG on the held-out items."""
        return {"validation_ndcg": self.validation_ndcg, "weights": dict(self.weights)}

    @classmethod
    def sources_combined(cls, settings: FusedSettings) -> Sequence[str]:
        """Return the names of the combined sources."""
        return settings.methods

    def to_state(self) -> State:
        """Return the states of the sources, together with the weights."""
        arrays, descriptions = pack_sources(self.sources)
        rules = {"candidates_per_source": self.candidates_per_source, "n_items": self.n_items}
        return State(arrays, {"sources": descriptions, **rules, **self.choices})

    @classmethod
    def from_state(cls, state: State) -> "Fused":
        """Build the combined sources from their states, and join them."""
        parameters = dict(state.parameters)
        return cls(unpack_sources(state.arrays, parameters.pop("sources")), **parameters)
