"""Users in, lists of items with who named them and why out: arrays, for a batch or one user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profile_lib.recommend.candidates import (
    Candidates,
    Score,
    candidates,
    met_before,
    reasons,
    scattered,
    strongest,
)
from profile_lib.recommend.catalogue import Catalogue
from profile_lib.recommend.diversity import diversified
from profile_lib.recommend.sources import Asked, Source
from profile_lib.recommend.top import best
from profile_lib.segments import Floats, Longs, place_within


@dataclass(frozen=True)
class Rules:
    """What may be listed, and how.

    `k`: items a list; `a_source`: items that each source is asked for; `ranked`: how many of these
    are ranked, those of the greatest sum of strengths; `hide_met`, `hide_bought`:
    whether what a user met or bought is left out, but for what a source in `again` names;
    `relevance`: 1 for the best items, less for more kinds of them (`diversified`), among the best
    `considered` of a user.
    """

    k: int
    a_source: int
    ranked: int
    hide_met: bool
    hide_bought: bool
    again: Sequence[str]
    relevance: float
    considered: int


class Offers(NamedTuple):
    """Of each item by its number whether it may be listed, (n_items,), and what its score is
    multiplied by, (n_items,), above 0."""

    is_offered: np.ndarray
    boost: Floats

    @classmethod
    def all(cls, n_items: int) -> "Offers":
        """Everything, as it is scored."""
        return cls(np.ones(n_items, bool), np.ones(n_items, np.float32))


@dataclass(frozen=True)
class Lists:
    """m listed items, user by user, best first; a list is shorter where there are fewer.

    `user`, `rank` (from 1), `item`, `score`: (m,); `is_named`: (m, S), by which sources; `source`,
    `because`: (m,), the source that speaks most for it, and the item of the user's history that
    spoke there, or NOTHING.
    """

    sources: tuple[str, ...]
    user: Longs
    rank: Longs
    item: Longs
    score: Floats
    is_named: np.ndarray
    source: Longs
    because: Longs


@dataclass(frozen=True)
class Recommender:
    """`sources` by name, a `catalogue`, a `score` of what they find, 0 or more, `rules`, and what
    is offered."""

    sources: Mapping[str, Source]
    catalogue: Catalogue
    score: Score
    rules: Rules
    offers: Offers

    def recommend(self, asked: Asked) -> Lists:
        """The list of each user."""
        found = candidates(self.sources, asked, self.rules.a_source)
        pairs = strongest(found.where(self._may_be_listed(asked, found)), self.rules.ranked)
        user, item, score = self._listed(
            asked.histories.n, pairs, self.score(asked, pairs) * self.offers.boost[pairs.item]
        )
        listed = pairs.of(user, item)
        source, because = reasons(self.sources, asked, pairs, listed)
        rank = place_within(user) + 1
        named = pairs.is_named[listed]
        return Lists(pairs.sources, user, rank, item, score, named, source, because)

    def _listed(self, n: int, pairs: Candidates, scores: Floats) -> tuple[Longs, Longs, Floats]:
        """(user, item, score) of the lists, in the order of users and ranks."""
        rules, n_items = self.rules, len(self.catalogue)
        most = rules.k if rules.relevance == 1 else max(rules.k, rules.considered)
        first = best(scattered(pairs, scores, n, n_items), most)
        user = np.repeat(np.arange(n), np.diff(first.indptr))
        item, score = first.indices.astype(np.int64), first.data
        if rules.relevance == 1:
            return user, item, score
        place = np.arange(len(user)) - first.indptr[user]
        in_rows = np.full((n, most), -np.inf)
        in_rows[user, place] = score
        vectors = np.zeros((n, most, self.catalogue.vectors.shape[1]), np.float32)
        vectors[user, place] = np.nan_to_num(self.catalogue.vectors[item])
        taken = diversified(in_rows, vectors, rules.k, rules.relevance)
        row, column = np.nonzero(taken >= 0)
        chosen = first.indptr[row] + taken[row, column]
        return row, item[chosen], score[chosen]

    def _may_be_listed(self, asked: Asked, pairs: Candidates) -> np.ndarray:
        rules = self.rules
        again = np.isin(pairs.sources, list(rules.again))
        may = self.offers.is_offered[pairs.item]
        for is_hidden, bought in ((rules.hide_met, False), (rules.hide_bought, True)):
            if is_hidden:
                is_known = met_before(asked, pairs, bought=bought)
                may &= ~is_known | pairs.is_named[:, again].any(axis=1)
        return may
