"""What a source of candidates is: asked for users, it scores items, and says what spoke for them.

A source is fitted on frames (see its own file) and then is arrays alone, which score a batch of
users on a cluster and one user in a server by the same code.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from profile_lib.recommend.histories import Histories
from profile_lib.segments import Floats, Longs

NOTHING = -1  # in place of an item or a context: there is none


@dataclass(frozen=True)
class Asked:
    """n users who are to be shown items, each at the second `now`, (n,).

    `histories`: what they met; `vectors`: (n, J) interest vectors; `numbers`: (n, U) of the
    profile; `joining`: (n, d) of the text under which the items are to be shown, a query or a
    listing; NaN in each where it isn't known. `contexts`: (n, c), for each of the contexts that the
    shop knows of (a region, a channel) the number of its value, or NOTHING.
    """

    histories: Histories
    vectors: Floats
    numbers: Floats
    joining: Floats
    contexts: Longs
    now: Longs


class Source(Protocol):
    """One way to find items for users."""

    def scores(self, asked: Asked, k: int) -> sparse.csr_array:
        """(n, n_items): of each user at least the k best items, in a row the best first; what isn't
        stored is none.

        Higher is better; scores of different sources are of different units.
        """

    def because(self, asked: Asked, user: Longs, item: Longs) -> Longs:
        """(m,): of each pair of a user and a candidate the item of the user's history that spoke
        most for it, or NOTHING where it wasn't an item that spoke."""


def strongest_step(
    steps: Histories, user: Longs, item: Longs, of_step: Floats, similar: sparse.csr_array
) -> Longs:
    """(m,): for each pair the item of the user's step for which `of_step`, (steps,), times its
    similarity to the candidate, (n_items, n_items), is greatest; NOTHING where none is above 0."""
    pair, step = steps.of_users(user)
    says = of_step[step] * np.asarray(similar[steps.items[step], item[pair]]).ravel()
    return loudest_step(steps, len(user), pair, step, says)


def loudest_step(steps: Histories, m: int, pair: Longs, step: Longs, says: Floats) -> Longs:
    """(m,): for each of m pairs the item of that of its steps, as `of_users` gives them, which
    `says` most, (p,); NOTHING where none says more than 0."""
    best = np.full(m, NOTHING, dtype=np.int64)
    order = np.lexsort((-says, pair))
    order = order[says[order] > 0]
    of_pair, place = np.unique(pair[order], return_index=True)
    best[of_pair] = steps.items[step[order[place]]]
    return best
