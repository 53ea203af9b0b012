"""What a source of candidates is: asked for users, it scores items, and says what spoke for them.

A source is fitted on frames (see its own file) and then is arrays alone, which score a batch of
users on a cluster and one user in a server by the same code.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.data.histories import Histories

MISSING = -1  # in place of an item or a context: there is none


@dataclass(frozen=True)
class Requests:
    """n users who are to be shown items, each at the second `now`, (n,).

    `histories`: what they met; `interest_vectors`: (n, J) interest vectors; `profile_numbers`: (n, U) of the
    profile; `query_vectors`: (n, d) of the text under which the items are to be shown, a query or a
    listing; NaN in each where it isn't known. `contexts`: (n, c), for each of the contexts that the
    shop knows of (a region, a channel) the number of its value, or MISSING.
    """

    histories: Histories
    interest_vectors: Floats
    profile_numbers: Floats
    query_vectors: Floats
    contexts: Longs
    now: Longs


class Source(Protocol):
    """One way to find items for users."""

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """(n, n_items): of each user at least the k best items, in a row the best first; what isn't
        stored is none.

        Higher is better; scores of different sources are of different units.
        """

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """(m,): of each pair of a user and a candidate the item of the user's history that spoke
        most for it, or MISSING where it wasn't an item that spoke."""


def most_similar_item(
    steps: Histories, user: Longs, item: Longs, step_weights: Floats, similarity: sparse.csr_array
) -> Longs:
    """(m,): for each pair the item of the user's step for which `step_weights`, (steps,), times its
    similarity to the candidate, (n_items, n_items), is greatest; MISSING where none is above 0."""
    pair, step = steps.steps_of_users(user)
    contributions = (
        step_weights[step] * np.asarray(similarity[steps.items[step], item[pair]]).ravel()
    )
    return top_contributing_item(steps, len(user), pair, step, contributions)


def top_contributing_item(
    steps: Histories, m: int, pair: Longs, step: Longs, contributions: Floats
) -> Longs:
    """(m,): for each of m pairs the item of that of its steps, as `steps_of_users` gives them, which
    `contributions` most, (p,); MISSING where none says more than 0."""
    best = np.full(m, MISSING, dtype=np.int64)
    order = np.lexsort((-contributions, pair))
    order = order[contributions[order] > 0]
    of_pair, place = np.unique(pair[order], return_index=True)
    best[of_pair] = steps.items[step[order[place]]]
    return best
