"""Choose each user's list from the candidates of all sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profile_lib.arrays.groups import index_within_group
from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    CandidateScorer,
    explain_candidates,
    interacted_before,
    propose_candidates,
    scatter_to_matrix,
    select_strongest,
)
from profile_lib.recommend.candidates.shared.top_k import top_k
from profile_lib.recommend.candidates.source import CandidateSource
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.data.requests import Requests
from profile_lib.recommend.serving.diversity import diversify


@dataclass(frozen=True)
class ListRules:
    """The rules of `recommend.lists`.

    `k`: items per list. `candidates_per_source`: items that each source proposes. `max_ranked`:
    candidates per user that are ranked, those with the greatest sums of normalised scores.
    `hide_interacted`, `hide_bought`: whether items that a user interacted with or bought are left
    out, unless a source in `repeatable_sources` proposes them. `relevance_weight`: 1 for the best
    items, less for more different ones (`diversify`), selected among the best `diversity_pool` of
    a user.
    """

    k: int
    candidates_per_source: int
    max_ranked: int
    hide_interacted: bool
    hide_bought: bool
    repeatable_sources: Sequence[str]
    relevance_weight: float
    diversity_pool: int


class Eligibility(NamedTuple):
    """Whether each item may be listed, and the factor of its score, (n_items,) both."""

    is_eligible: np.ndarray
    boost: Floats

    @classmethod
    def all_eligible(cls, n_items: int) -> "Eligibility":
        """Return the eligibility by which every item may be listed, at its unchanged score."""
        return cls(np.ones(n_items, bool), np.ones(n_items, np.float32))


@dataclass(frozen=True)
class RecommendedLists:
    """m listed items, user by user, best first.

    `user`, `rank` (from 1), `item`, `score`: (m,). `is_proposed`: (m, S), whether each of the
    `sources` proposed the item. `reason_source`, `reason_item`: (m,), the index of the source that
    ranks the item highest, and the item of the user's history that explains it there, or MISSING.
    """

    sources: tuple[str, ...]
    user: Longs
    rank: Longs
    item: Longs
    score: Floats
    is_proposed: np.ndarray
    reason_source: Longs
    reason_item: Longs


@dataclass(frozen=True)
class Recommender:
    """A recommender: candidate sources, a `score` that ranks candidates, rules, eligibility."""

    sources: Mapping[str, CandidateSource]
    catalog: Catalog
    score: CandidateScorer
    rules: ListRules
    eligibility: Eligibility

    def recommend(self, requests: Requests) -> RecommendedLists:
        """Return each user's list, shorter than k if too few candidates may be listed."""
        proposed = propose_candidates(self.sources, requests, self.rules.candidates_per_source)
        listable = proposed.where(self._may_be_listed(requests, proposed))
        pairs = select_strongest(listable, self.rules.max_ranked)
        scores = self.score(requests, pairs) * self.eligibility.boost[pairs.item]
        user, item, score = self._select(requests.histories.n_users, pairs, scores)
        listed = pairs.positions_of(user, item)
        source, reason_item = explain_candidates(self.sources, requests, pairs, listed)
        return RecommendedLists(
            sources=pairs.sources,
            user=user,
            rank=index_within_group(user) + 1,
            item=item,
            score=score,
            is_proposed=pairs.is_proposed[listed],
            reason_source=source,
            reason_item=reason_item,
        )

    def _select(
        self, n_users: int, pairs: Candidates, scores: Floats
    ) -> tuple[Longs, Longs, Floats]:
        """Return the user, item and score of each listed item, ordered by user and rank."""
        rules, n_items = self.rules, len(self.catalog)
        pool = rules.k if rules.relevance_weight == 1 else max(rules.k, rules.diversity_pool)
        best = top_k(scatter_to_matrix(pairs, scores, n_users, n_items), pool)
        user = np.repeat(np.arange(n_users), np.diff(best.indptr))
        item, score = best.indices.astype(np.int64), best.data
        if rules.relevance_weight == 1:
            return user, item, score
        column = np.arange(len(user)) - best.indptr[user]
        score_rows = np.full((n_users, pool), -np.inf)
        score_rows[user, column] = score
        vectors = np.zeros((n_users, pool, self.catalog.vectors.shape[1]), np.float32)
        vectors[user, column] = np.nan_to_num(self.catalog.vectors[item])
        selected = diversify(score_rows, vectors, rules.k, rules.relevance_weight)
        row, rank = np.nonzero(selected >= 0)
        chosen = best.indptr[row] + selected[row, rank]
        return row, item[chosen], score[chosen]

    def _may_be_listed(self, requests: Requests, pairs: Candidates) -> np.ndarray:
        rules = self.rules
        is_repeatable = np.isin(pairs.sources, list(rules.repeatable_sources))
        may_repeat = pairs.is_proposed[:, is_repeatable].any(axis=1)
        may_be_listed = self.eligibility.is_eligible[pairs.item]
        for is_hidden, bought in ((rules.hide_interacted, False), (rules.hide_bought, True)):
            if is_hidden:
                may_be_listed &= ~interacted_before(requests, pairs, bought=bought) | may_repeat
        return may_be_listed
