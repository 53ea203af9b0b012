"""Users who are to be shown items, written in line."""

from collections.abc import Sequence

import numpy as np

from profile_lib.recommend.asking import NUMBERS
from profile_lib.recommend.histories import Histories
from profile_lib.recommend.sources import Asked

DAY = 86400


def asked(
    *items: Sequence[int],
    weights: Sequence[Sequence[float]] | None = None,
    days_ago: Sequence[Sequence[float]] | None = None,
    bought: Sequence[Sequence[int]] | None = None,
    vectors: np.ndarray | None = None,
    numbers: np.ndarray | None = None,
    joining: np.ndarray | None = None,
    contexts: Sequence[Sequence[int]] | None = None,
) -> Asked:
    """A user a list of items, oldest first, each step of weight 1 unless told otherwise."""

    def flat(lists: Sequence[Sequence[float]] | None, otherwise: float) -> np.ndarray:
        given = lists or [[otherwise] * len(of) for of in items]
        return np.array([value for of in given for value in of])

    n, now = len(items), 1000 * DAY
    steps = Histories(
        n=n,
        of=np.repeat(np.arange(n), [len(of) for of in items]),
        items=flat(items, 0).astype(np.int64),
        weights=flat(weights, 1.0).astype(np.float32),
        seconds=(now - DAY * flat(days_ago, 0.0)).astype(np.int64),
        is_bought=flat(bought, 0).astype(bool),
    )

    def rows(given: np.ndarray | None, size: int) -> np.ndarray:
        return np.full((n, size), np.nan) if given is None else np.asarray(given, np.float32)

    return Asked(
        steps,
        rows(vectors, 2),
        rows(numbers, len(NUMBERS)),
        rows(joining, 2),
        np.array(contexts or [[-1]] * n),
        np.full(n, now),
    )
