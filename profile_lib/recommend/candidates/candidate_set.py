"""Join the proposals of several sources, with their scores and ranks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.candidates.shared.top_k import rank_within_user
from profile_lib.recommend.candidates.source import CandidateSource
from profile_lib.recommend.data.arrow_columns import MISSING
from profile_lib.recommend.data.requests import Requests

NOT_PROPOSED = (np.nan, 0.0, np.nan)  # score, normalised score and rank of a pair not proposed


@dataclass(frozen=True)
class Candidates:
    """The m pairs of a user and a candidate item, each once.

    `user`, `item`: (m,), ordered by user and item. `scores`: (m, S), each source's score in its
    unit, NaN if the source does not propose the pair. `normalised_scores`: (m, S), the score
    divided by the root mean square of all scores that the source gives to the user's items, 0 if it
    does not propose the pair; they can be compared across sources and users. `source_ranks`: (m,
    S), the rank among all items that the source proposes to the user, from 1, NaN if it does not
    propose the pair. Normalised scores and ranks stay the same if other pairs are left out.
    """

    sources: tuple[str, ...]
    user: Longs
    item: Longs
    scores: Floats
    normalised_scores: Floats
    source_ranks: Floats

    def where(self, is_kept: np.ndarray) -> "Candidates":
        """Return the pairs for which `is_kept`, (m,), is true."""
        per_source = (self.scores, self.normalised_scores, self.source_ranks)
        arrays = (self.user, self.item, *per_source)
        return Candidates(self.sources, *(array[is_kept] for array in arrays))

    def positions_of(self, user: Longs, item: Longs) -> Longs:
        """Return the positions of pairs, (p,), which have to be candidates."""
        candidates, others = self._keys(user, item)
        return np.searchsorted(candidates, others)

    def contains(self, user: Longs, item: Longs) -> np.ndarray:
        """Return for each of these pairs, (p,), whether it is a candidate."""
        candidates, others = self._keys(user, item)
        return np.isin(others, candidates)

    def isin(self, user: Longs, item: Longs) -> np.ndarray:
        """Return for each candidate, (m,), whether it is one of these pairs."""
        candidates, others = self._keys(user, item)
        return np.isin(candidates, others)

    def _keys(self, user: Longs, item: Longs) -> tuple[Longs, Longs]:
        """Return a number per candidate, (m,), and per pair, (p,), ordered by user and item."""
        n_items = max(int(self.item.max(initial=0)), int(item.max(initial=0))) + 1
        return self.user * n_items + self.item, user.astype(np.int64) * n_items + item

    @property
    def is_proposed(self) -> np.ndarray:
        """Whether each source proposes each pair, (m, S)."""
        return ~np.isnan(self.scores)


# Scores of candidates, (m,); higher is better.
CandidateScorer = Callable[[Requests, Candidates], Floats]


def propose_candidates(
    sources: Mapping[str, CandidateSource], requests: Requests, k: int
) -> Candidates:
    """Join the proposals of all sources, about `k` items per user and source."""
    proposals = {name: source.scores(requests, k) for name, source in sources.items()}
    n_items = next(iter(proposals.values())).shape[1]
    n_users = requests.histories.n_users
    users = [np.repeat(np.arange(n_users), np.diff(p.indptr)) for p in proposals.values()]
    keys = [u * n_items + p.indices for u, p in zip(users, proposals.values(), strict=True)]
    union = np.unique(np.concatenate(keys))
    scores, normalised_scores, source_ranks = (
        np.full((len(union), len(proposals)), value, np.float32) for value in NOT_PROPOSED
    )
    for column, proposed in enumerate(proposals.values()):
        row, user = np.searchsorted(union, keys[column]), users[column]
        scores[row, column] = proposed.data
        squares = np.bincount(user, proposed.data.astype(np.float64) ** 2, n_users)
        mean = squares / np.maximum(np.diff(proposed.indptr), 1)
        normalised_scores[row, column] = proposed.data / np.sqrt(np.where(mean > 0, mean, 1))[user]
        source_ranks[row, column] = np.arange(1, len(row) + 1) - proposed.indptr[user]
    return Candidates(
        tuple(proposals), union // n_items, union % n_items, scores, normalised_scores, source_ranks
    )


def score_pairs(
    sources: Mapping[str, CandidateSource], requests: Requests, k: int, user: Longs, item: Longs
) -> Candidates:
    """Score the given pairs, (m,), ordered by user and item, as candidates.

    A pair has the scores and ranks of the sources that propose it among about `k` items per user,
    and NOT_PROPOSED for the other sources.
    """
    proposed = propose_candidates(sources, requests, k)
    is_proposed = proposed.contains(user, item)
    position = proposed.positions_of(user[is_proposed], item[is_proposed])
    per_source = []
    for known, value in zip(
        (proposed.scores, proposed.normalised_scores, proposed.source_ranks),
        NOT_PROPOSED,
        strict=True,
    ):
        values = np.full((len(user), len(proposed.sources)), value, np.float32)
        values[is_proposed] = known[position]
        per_source.append(values)
    return Candidates(proposed.sources, user, item, *per_source)


def select_strongest(pairs: Candidates, k: int) -> Candidates:
    """Return each user's `k` pairs with the greatest sums of normalised scores.

    Among equal sums the lowest item numbers are selected.
    """
    return pairs.where(rank_within_user(pairs.user, pairs.normalised_scores.sum(axis=1)) < k)


def interacted_before(requests: Requests, pairs: Candidates, *, bought: bool) -> np.ndarray:
    """Return whether the user of each pair interacted with its item, or `bought` it, (m,)."""
    steps = requests.histories
    counts = steps.is_bought if bought else np.ones(len(steps.user), bool)
    return pairs.isin(steps.user[counts], steps.items[counts])


def explain_candidates(
    sources: Mapping[str, CandidateSource], requests: Requests, pairs: Candidates, listed: Longs
) -> tuple[Longs, Longs]:
    """Return the source and the item that explain each listed pair, (l,) both.

    `listed`: the positions of the pairs, (l,). The source is the index of the one that ranks the
    pair highest. The item is from the user's history, or MISSING if the source names none.
    """
    source = np.nan_to_num(pairs.source_ranks[listed], nan=np.inf).argmin(axis=1)
    reason_item = np.full(len(source), MISSING)
    for number, name in enumerate(pairs.sources):
        rows = np.flatnonzero(source == number)
        if len(rows):
            user, item = pairs.user[listed[rows]], pairs.item[listed[rows]]
            reason_item[rows] = sources[name].explain(requests, user, item)
    return source, reason_item


def scatter_to_matrix(
    pairs: Candidates, values: Floats, n_users: int, n_items: int
) -> sparse.csr_array:
    """Scatter values of the pairs, (m,), to a matrix, (n_users, n_items)."""
    return sparse.csr_array((values, (pairs.user, pairs.item)), shape=(n_users, n_items))
