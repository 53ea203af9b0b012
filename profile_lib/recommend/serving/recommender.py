"""Users in, lists of items with who named them and why out: arrays, for a batch or one user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profile_lib.arrays.groups import Floats, Longs, index_within_group
from profile_lib.recommend.candidates.candidate_set import (
    Candidates,
    CandidateScorer,
    explain_candidates,
    interacted_before,
    propose_candidates,
    scatter_to_matrix,
    select_strongest,
)
from profile_lib.recommend.candidates.source import Requests, Source
from profile_lib.recommend.candidates.top_k import top_k
from profile_lib.recommend.data.catalog import Catalog
from profile_lib.recommend.serving.diversity import diversify


@dataclass(frozen=True)
class ListRules:
    """What may be listed, and how.

    `k`: items a list; `candidates_per_source`: items that each source is asked for; `max_ranked`: how many of these
    are ranked, those of the greatest sum of normalised_scores; `hide_interacted`, `hide_bought`:
    whether what a user met or bought is left out, but for what a source in `repeatable_sources` names;
    `relevance_weight`: 1 for the best items, less for more kinds of them (`diversify`), among the best
    `diversity_pool` of a user.
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
    """Of each item by its number whether it may be listed, (n_items,), and what its score is
    multiplied by, (n_items,), above 0."""

    is_eligible: np.ndarray
    boost: Floats

    @classmethod
    def all_eligible(cls, n_items: int) -> "Eligibility":
        """Everything, as it is scored."""
        return cls(np.ones(n_items, bool), np.ones(n_items, np.float32))


@dataclass(frozen=True)
class RecommendedLists:
    """m listed items, user by user, best first; a list is shorter where there are fewer.

    `user`, `rank` (from 1), `item`, `score`: (m,); `is_proposed`: (m, S), by which sources; `reason_source`,
    `reason_item`: (m,), the source that speaks most for it, and the item of the user's history that
    spoke there, or MISSING.
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
    """`sources` by name, a `catalog`, a `score` of what they find, 0 or more, `rules`, and what
    is offered."""

    sources: Mapping[str, Source]
    catalog: Catalog
    score: CandidateScorer
    rules: ListRules
    eligibility: Eligibility

    def recommend(self, requests: Requests) -> RecommendedLists:
        """The list of each user."""
        found = propose_candidates(self.sources, requests, self.rules.candidates_per_source)
        pairs = select_strongest(
            found.where(self._may_be_listed(requests, found)), self.rules.max_ranked
        )
        user, item, score = self._listed(
            requests.histories.n_users,
            pairs,
            self.score(requests, pairs) * self.eligibility.boost[pairs.item],
        )
        listed = pairs.positions_of(user, item)
        source, because = explain_candidates(self.sources, requests, pairs, listed)
        rank = index_within_group(user) + 1
        named = pairs.is_proposed[listed]
        return RecommendedLists(pairs.sources, user, rank, item, score, named, source, because)

    def _listed(self, n: int, pairs: Candidates, scores: Floats) -> tuple[Longs, Longs, Floats]:
        """(user, item, score) of the lists, in the order of users and ranks."""
        rules, n_items = self.rules, len(self.catalog)
        most = rules.k if rules.relevance_weight == 1 else max(rules.k, rules.diversity_pool)
        first = top_k(scatter_to_matrix(pairs, scores, n, n_items), most)
        user = np.repeat(np.arange(n), np.diff(first.indptr))
        item, score = first.indices.astype(np.int64), first.data
        if rules.relevance_weight == 1:
            return user, item, score
        place = np.arange(len(user)) - first.indptr[user]
        in_rows = np.full((n, most), -np.inf)
        in_rows[user, place] = score
        vectors = np.zeros((n, most, self.catalog.vectors.shape[1]), np.float32)
        vectors[user, place] = np.nan_to_num(self.catalog.vectors[item])
        taken = diversify(in_rows, vectors, rules.k, rules.relevance_weight)
        row, column = np.nonzero(taken >= 0)
        chosen = first.indptr[row] + taken[row, column]
        return row, item[chosen], score[chosen]

    def _may_be_listed(self, requests: Requests, pairs: Candidates) -> np.ndarray:
        rules = self.rules
        again = np.isin(pairs.sources, list(rules.repeatable_sources))
        may = self.eligibility.is_eligible[pairs.item]
        for is_hidden, bought in ((rules.hide_interacted, False), (rules.hide_bought, True)):
            if is_hidden:
                is_known = interacted_before(requests, pairs, bought=bought)
                may &= ~is_known | pairs.is_proposed[:, again].any(axis=1)
        return may
