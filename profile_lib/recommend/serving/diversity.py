"""Lists in which the next item is good, and unlike those before it."""

import numpy as np

from profile_lib.arrays.groups import Floats, Longs


def diversify(scores: Floats, vectors: Floats, k: int, relevance_weight: float) -> Longs:
    """Maximal marginal relevance (Carbonell & Goldstein 1998): (n, k) places in each row's list.

    `scores`: (n, L), best first, minus infinity where a list is shorter, scaled here to 0 to 1
    within a list; `vectors`: (n, L, d) of length 1, or of zeros where none is known. Each next item
    is the one of the highest `relevance_weight` × score - (1 - `relevance_weight`) × its greatest cosine to those
    taken; equal ones in the list's order. With `relevance_weight` 1 that is the order as it was. -1 where
    a list has ended.
    """
    n, length = scores.shape
    is_there = scores > -np.inf
    low = np.where(is_there, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = scores.max(axis=1, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1)
    worth = np.where(
        is_there, relevance_weight * (scores - np.where(is_there, low, 0)) / spread, -np.inf
    )
    nearest = np.full((n, length), 0.0)
    taken = np.full((n, k), -1)
    rows = np.arange(n)
    for place in range(min(k, length)):
        value = worth - (1 - relevance_weight) * nearest
        at = value.argmax(axis=1)
        is_some = value[rows, at] > -np.inf
        taken[is_some, place] = at[is_some]
        worth[rows, at] = -np.inf
        near = np.einsum("nld,nd->nl", vectors, vectors[rows, at])
        nearest = near if place == 0 else np.maximum(nearest, near)
    return taken
