"""What the sources name for each user, brought together with who named it and why."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.recommend.sources import NOTHING, Asked, Source
from profile_lib.segments import Floats, Longs


@dataclass(frozen=True)
class Candidates:
    """m pairs of a user and an item, each once, in the order of users and items.

    `user`, `item`: (m,); `scores`, (m, S): of each of the S `sources`, in its unit, NaN where it
    does not name the pair.
    """

    sources: tuple[str, ...]
    user: Longs
    item: Longs
    scores: Floats

    def where(self, is_kept: np.ndarray) -> "Candidates":
        """Those pairs alone."""
        kept = (self.user[is_kept], self.item[is_kept], self.scores[is_kept])
        return Candidates(self.sources, *kept)

    def of(self, user: Longs, item: Longs) -> Longs:
        """The places of pairs that are among them."""
        last = max(int(self.item.max(initial=0)), int(item.max(initial=0))) + 1
        return np.searchsorted(self.user * last + self.item, user * last + item)

    @property
    def is_named(self) -> np.ndarray:
        """(m, S): whether a source names a pair."""
        return ~np.isnan(self.scores)

    def places(self) -> Floats:
        """(m, S): the pair's place among those that the source names for the user, from 1; NaN
        where it doesn't name it. Equal scores stand in the order of the items."""
        return np.stack([_place(self.user, column) for column in self.scores.T], axis=1)

    def strengths(self) -> Floats:
        """(m, S): scores over the root mean square of the user's from that source; 0 where it
        doesn't name the pair: comparable from source to source and from user to user."""
        known = np.nan_to_num(self.scores)
        n = int(self.user.max(initial=-1)) + 1
        square = np.stack([np.bincount(self.user, c**2, n) for c in known.T], axis=1)
        named = np.stack([np.bincount(self.user, c, n) for c in self.is_named.T], axis=1)
        scale = np.sqrt(square / np.maximum(named, 1))
        return known / np.where(scale > 0, scale, 1)[self.user]


def _place(user: Longs, scores: Floats) -> Floats:
    order = np.lexsort((-scores, user))  # NaN comes last within a user
    place = np.empty(len(user))
    place[order] = np.arange(len(user)) - np.searchsorted(user[order], user[order]) + 1.0
    return np.where(np.isnan(scores), np.nan, place)


def candidates(sources: Mapping[str, Source], asked: Asked, k: int) -> Candidates:
    """The union of what each source names, about k items a user and source."""
    found = {name: source.scores(asked, k).tocoo() for name, source in sources.items()}
    n_items = next(iter(found.values())).shape[1]
    pairs = {name: of.row.astype(np.int64) * n_items + of.col for name, of in found.items()}
    union = np.unique(np.concatenate(list(pairs.values())))
    scores = np.full((len(union), len(found)), np.nan, np.float32)
    for column, (name, of) in enumerate(found.items()):
        scores[np.searchsorted(union, pairs[name]), column] = of.data
    return Candidates(tuple(found), union // n_items, union % n_items, scores)


def met_before(asked: Asked, pairs: Candidates, *, bought: bool) -> np.ndarray:
    """(m,): whether the user met the item, or `bought` it."""
    steps, n_items = asked.histories, int(pairs.item.max(initial=0)) + 1
    counts = steps.is_bought if bought else np.ones(len(steps.of), bool)
    counts = counts & (steps.items < n_items)
    met = steps.of[counts].astype(np.int64) * n_items + steps.items[counts]
    return np.isin(pairs.user * n_items + pairs.item, met)


def reasons(
    sources: Mapping[str, Source], asked: Asked, pairs: Candidates, listed: Longs
) -> tuple[Longs, Longs]:
    """(l,) and (l,), of the pairs at these places: the number of the source at which a pair stands
    first among the user's pairs, and the item of the user's history that spoke most for it there,
    or NOTHING."""
    first = np.nan_to_num(pairs.places()[listed], nan=np.inf).argmin(axis=1)
    because = np.full(len(first), NOTHING)
    for number, name in enumerate(pairs.sources):
        at = np.flatnonzero(first == number)
        if len(at):
            user, item = pairs.user[listed[at]], pairs.item[listed[at]]
            because[at] = sources[name].because(asked, user, item)
    return first, because


def scattered(pairs: Candidates, values: Floats, n_users: int, n_items: int) -> sparse.csr_array:
    """(n_users, n_items): a value a pair."""
    return sparse.csr_array((values, (pairs.user, pairs.item)), shape=(n_users, n_items))
