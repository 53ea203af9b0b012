"""Histories in, the nearest neighbours of each item by a linear model in closed form out."""

from collections.abc import Iterator

import numpy as np
from pyspark.sql import DataFrame
from scipy import sparse

from profile_lib.arrays.groups import Floats, GroupedRows, Longs
from profile_lib.recommend.candidates.closed_form import nearest_by_inverse
from profile_lib.recommend.data.histories import Histories

MIN_DECAYED_WEIGHT = 0.01  # a share of a step below which its decayed past and future are left out


def ease_neighbours(
    histories: DataFrame, *, n_items: int, l2: float, max_neighbours: int, max_items: int
) -> DataFrame:
    """(item, neighbour, weight): EASE (Steck 2019), each item out of all others that a user met.

    Whatever the order of the steps, and however often an item is met. Of each item the `max_neighbours`
    neighbours of greatest weight are kept, and none of weight 0 or below. Raises InputError above
    `max_items` items.
    """

    def sums(steps: Histories) -> tuple[sparse.csr_array, sparse.csr_array]:
        met = steps.matrix(np.ones(len(steps.items)), n_items)
        met.data[:] = 1
        return met.T @ met, sparse.csr_array((n_items, n_items))

    def rows(inverted: Floats, _: sparse.csc_array, part: slice) -> Floats:
        return -inverted[part] / np.diag(inverted)

    return nearest_by_inverse(
        histories,
        sums,
        rows,
        n_items=n_items,
        l2=l2,
        max_neighbours=max_neighbours,
        max_items=max_items,
    )


def ridge_neighbours(
    histories: DataFrame,
    *,
    n_items: int,
    decay: float,
    future_decay: float,
    l2: float,
    max_neighbours: int,
    max_items: int,
) -> DataFrame:
    """(item, neighbour, weight): ridge regression from what a user met to what came after.

    A row of the regression is a step of a user with steps before it. It says of each item how it
    lies in the past, `decay` to the power of the steps between, and in the future, from the step
    itself on, likewise by `future_decay`. EASE with an order, as in SLIST (Choi et al. 2021).
    Otherwise as `ease_neighbours`.
    """

    def sums(steps: Histories) -> tuple[sparse.csr_array, sparse.csr_array]:
        past, future = past_and_future(steps, n_items, decay, future_decay)
        return past.T @ past, past.T @ future

    def rows(inverted: Floats, cross: sparse.csc_array, part: slice) -> Floats:
        return np.ascontiguousarray((cross.T @ inverted[:, part]).T)

    return nearest_by_inverse(
        histories,
        sums,
        rows,
        n_items=n_items,
        l2=l2,
        max_neighbours=max_neighbours,
        max_items=max_items,
    )


def past_and_future(
    steps: Histories, n_items: int, decay: float, future_decay: float
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """(steps with steps before them, n_items), twice: the decayed past and future of each."""
    place = (
        np.arange(len(steps.user)) - GroupedRows(steps.user, steps.n_users).start_rows[steps.user]
    )
    has_past = place > 0
    row = np.cumsum(has_past) - 1
    n_rows = int(has_past.sum())

    def matrix(parts: Iterator[tuple[Longs, Longs, float]]) -> sparse.csr_array:
        found = [(row[k], steps.items[other], np.full(len(k), value)) for k, other, value in parts]
        if not found:
            return sparse.csr_array((n_rows, n_items))
        of, item, value = (np.concatenate(part) for part in zip(*found, strict=True))
        return sparse.csr_array((value, (of, item)), shape=(n_rows, n_items), dtype=np.float32)

    def past() -> Iterator[tuple[Longs, Longs, float]]:
        for gap in range(1, int(place.max(initial=0)) + 1):
            if (value := decay ** (gap - 1)) < MIN_DECAYED_WEIGHT:
                return
            k = np.flatnonzero(place >= gap)
            yield k, k - gap, value

    def future() -> Iterator[tuple[Longs, Longs, float]]:
        for gap in range(int(steps.steps_ago.max(initial=-1)) + 1):
            if (value := future_decay**gap) < MIN_DECAYED_WEIGHT:
                return
            k = np.flatnonzero(has_past & (steps.steps_ago >= gap))
            yield k, k + gap, value

    return matrix(past()), matrix(future())
