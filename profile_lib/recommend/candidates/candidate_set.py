"""What the sources name for each user, brought together with who named it and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs, index_within_group
from profile_lib.recommend.candidates.source import MISSING, Requests, Source

NOT_PROPOSED = (np.nan, 0.0, np.nan)  # score, strength and place of what a source does not name


@dataclass(frozen=True)
class Candidates:
    """m pairs of a user and an item, each once, in the order of users and items.

    `user`, `item`: (m,). Of each of the S `sources`, (m, S): `scores`, in its unit, NaN where it
    does not name the pair; `normalised_scores`, scores over the root mean square of all that it named for
    the user, 0 where it does not name the pair: comparable from source to source and from user to
    user; `source_ranks` among all that it named, from 1, NaN where it does not name the pair. Both stay
    when other pairs are left out.
    """

    sources: tuple[str, ...]
    user: Longs
    item: Longs
    scores: Floats
    normalised_scores: Floats
    source_ranks: Floats

    def where(self, is_kept: np.ndarray) -> "Candidates":
        """Those pairs alone."""
        of_sources = (
            self.scores[is_kept],
            self.normalised_scores[is_kept],
            self.source_ranks[is_kept],
        )
        return Candidates(self.sources, self.user[is_kept], self.item[is_kept], *of_sources)

    def positions_of(self, user: Longs, item: Longs) -> Longs:
        """The places of pairs that are among them."""
        own, others = self._keys(user, item)
        return np.searchsorted(own, others)

    def contains(self, user: Longs, item: Longs) -> np.ndarray:
        """(w,): which of these pairs are among them."""
        own, others = self._keys(user, item)
        return np.isin(others, own)

    def isin(self, user: Longs, item: Longs) -> np.ndarray:
        """(m,): which of them are among these pairs."""
        own, others = self._keys(user, item)
        return np.isin(own, others)

    def _keys(self, user: Longs, item: Longs) -> tuple[Longs, Longs]:
        """A number a pair, of these and of those, in the order of users and items."""
        last = max(int(self.item.max(initial=0)), int(item.max(initial=0))) + 1
        return self.user * last + self.item, user.astype(np.int64) * last + item

    @property
    def is_proposed(self) -> np.ndarray:
        """(m, S): whether a source names a pair."""
        return ~np.isnan(self.scores)


CandidateScorer = Callable[
    [Requests, Candidates], Floats
]  # (m,) of the candidates, higher is better


def propose_candidates(sources: Mapping[str, Source], requests: Requests, k: int) -> Candidates:
    """The union of what each source names, about k items a user and source."""
    found = {name: source.scores(requests, k) for name, source in sources.items()}
    n_items = next(iter(found.values())).shape[1]
    everyone = np.arange(requests.histories.n_users)
    users = [np.repeat(everyone, np.diff(of.indptr)) for of in found.values()]
    pairs = [user * n_items + of.indices for user, of in zip(users, found.values(), strict=True)]
    union = np.unique(np.concatenate(pairs))
    scores, normalised_scores, source_ranks = (
        np.full((len(union), len(found)), unknown, np.float32) for unknown in NOT_PROPOSED
    )
    for column, of in enumerate(found.values()):
        at, user = np.searchsorted(union, pairs[column]), users[column]
        scores[at, column] = of.data
        squares = np.bincount(user, of.data.astype(np.float64) ** 2, len(everyone))
        mean = squares / np.maximum(np.diff(of.indptr), 1)
        normalised_scores[at, column] = of.data / np.sqrt(np.where(mean > 0, mean, 1))[user]
        source_ranks[at, column] = np.arange(1, len(at) + 1) - of.indptr[user]
    return Candidates(
        tuple(found), union // n_items, union % n_items, scores, normalised_scores, source_ranks
    )


def score_pairs(
    sources: Mapping[str, Source], requests: Requests, k: int, user: Longs, item: Longs
) -> Candidates:
    """These pairs, (m,) in the order of users and items, whoever names them or not: by what those
    sources say that name them among about k items a user."""
    found = propose_candidates(sources, requests, k)
    is_proposed = found.contains(user, item)
    place = found.positions_of(user[is_proposed], item[is_proposed])
    told = [
        np.full((len(user), len(found.sources)), unknown, np.float32) for unknown in NOT_PROPOSED
    ]
    for of, known in zip(
        told, (found.scores, found.normalised_scores, found.source_ranks), strict=True
    ):
        of[is_proposed] = known[place]
    return Candidates(found.sources, user, item, *told)


def select_strongest(pairs: Candidates, k: int) -> Candidates:
    """Of each user the k of the greatest sum of normalised_scores, equal ones by their items' numbers."""
    order = np.lexsort((-pairs.normalised_scores.sum(axis=1), pairs.user))
    place = index_within_group(pairs.user)
    is_kept = np.zeros(len(order), bool)
    is_kept[order[place < k]] = True
    return pairs.where(is_kept)


def interacted_before(requests: Requests, pairs: Candidates, *, bought: bool) -> np.ndarray:
    """(m,): whether the user met the item, or `bought` it."""
    steps = requests.histories
    counts = steps.is_bought if bought else np.ones(len(steps.user), bool)
    return pairs.isin(steps.user[counts], steps.items[counts])


def explain_candidates(
    sources: Mapping[str, Source], requests: Requests, pairs: Candidates, listed: Longs
) -> tuple[Longs, Longs]:
    """(l,) and (l,), of the pairs at these places: the number of the source at which a pair stands
    first among the user's pairs, and the item of the user's history that spoke most for it there,
    or MISSING."""
    first = np.nan_to_num(pairs.source_ranks[listed], nan=np.inf).argmin(axis=1)
    because = np.full(len(first), MISSING)
    for number, name in enumerate(pairs.sources):
        at = np.flatnonzero(first == number)
        if len(at):
            user, item = pairs.user[listed[at]], pairs.item[listed[at]]
            because[at] = sources[name].explain(requests, user, item)
    return first, because


def scatter_to_matrix(
    pairs: Candidates, values: Floats, n_users: int, n_items: int
) -> sparse.csr_array:
    """(n_users, n_items): a value a pair."""
    return sparse.csr_array((values, (pairs.user, pairs.item)), shape=(n_users, n_items))
