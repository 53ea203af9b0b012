"""Pack texts of similar lengths under a budget of padded tokens."""

from collections.abc import Iterator

import numpy as np


def pack_by_length(lengths: np.ndarray, max_tokens: int) -> Iterator[np.ndarray]:
    """Yield packs of text indices, longest texts first.

    `lengths` holds each text's number of tokens, at least 1. All texts of a pack are padded to its
    longest one, and then have at most `max_tokens` tokens. A longer text is a pack of its own.

    >>> [pack.tolist() for pack in pack_by_length(np.array([2, 9, 3, 3]), 6)]
    [[1], [2, 3], [0]]
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, max_tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size
