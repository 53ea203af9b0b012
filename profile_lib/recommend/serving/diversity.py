"""Choose lists of items that score high and differ from each other."""

import numpy as np

from profile_lib.arrays.types import Floats, Longs


def diversify(scores: Floats, vectors: Floats, k: int, relevance_weight: float) -> Longs:
    """Select k items of each list by maximal marginal relevance (Carbonell & Goldstein 1998).

    `scores`: (n, L), best first, minus infinity after the end of a shorter list. `vectors`: (n, L,
    d), of length 1, or zeros if unknown. Scores are scaled to 0 to 1 within a list. Items are
    selected one after the other, each with the highest value of `relevance_weight` × score - (1 -
    `relevance_weight`) × greatest cosine to an item selected before; equal values are taken in the
    order of the list. A `relevance_weight` of 1 retains that order. Returns positions in the lists,
    (n, k), -1 after the end of a list.
    """
    n, length = scores.shape
    is_item = scores > -np.inf
    low = np.where(is_item, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = scores.max(axis=1, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1)
    above_low = scores - np.where(is_item, low, 0)
    relevance = np.where(is_item, relevance_weight * above_low / spread, -np.inf)
    greatest_cosine = np.full((n, length), 0.0)
    selected = np.full((n, k), -1)
    rows = np.arange(n)
    for rank in range(min(k, length)):
        value = relevance - (1 - relevance_weight) * greatest_cosine
        position = value.argmax(axis=1)
        is_left = value[rows, position] > -np.inf
        selected[is_left, rank] = position[is_left]
        relevance[rows, position] = -np.inf
        cosine = np.einsum("nld,nd->nl", vectors, vectors[rows, position])
        greatest_cosine = cosine if rank == 0 else np.maximum(greatest_cosine, cosine)
    return selected
