"""Propose items by ridge regression from past steps to later ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from scipy import sparse

from profile_lib.arrays.groups import GroupedRows
from profile_lib.arrays.types import Floats, Longs
from profile_lib.config.section import Amount, Count, Decay, Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.closed_form import nearest_by_inverse
from profile_lib.recommend.candidates.shared.item_to_item import ItemToItem, neighbour_matrix
from profile_lib.recommend.candidates.source import SourceData
from profile_lib.recommend.data.histories import Histories

MIN_DECAYED_WEIGHT = 0.01  # steps with a lower decayed weight are left out

# Rows of the regression as step numbers, other steps of the same histories, their decayed weight.
Cells = Iterator[tuple[Longs, Longs, float]]


class RidgeSettings(Section):
    """How the regression is fitted, for shops with few items."""

    l2: Amount
    max_neighbours: Count  # per item
    max_items: Count  # one task holds 4 bytes per pair of items
    decay: Decay
    future_decay: Decay  # decay of the outputs' later steps, in the fit alone


@candidate_source("ridge", RidgeSettings)
@dataclass(frozen=True)
class Ridge(ItemToItem):
    """Items that a linear model of ordered steps predicts (SLIST, Choi et al. 2021)."""

    default_reason = "because you looked at {item}"

    @classmethod
    def fit(cls, data: SourceData, settings: RidgeSettings) -> "Ridge":
        """Fit by `ridge_neighbours`."""
        rules = settings.model_dump()
        neighbours = ridge_neighbours(data.histories, n_items=data.n_items, **rules)
        return cls(neighbour_matrix(neighbours, data.n_items), settings.decay)


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
    """Fit a ridge regression: NEIGHBOUR_SCHEMA rows as `nearest_by_inverse` returns them.

    A row of the regression is a step with steps before it. Its inputs are the items of those
    steps, each weighted by `decay` to the power of the steps between. Its outputs are the items of
    the step and the later ones, weighted by `future_decay` in the same way. Raises InputError above
    `max_items` items.
    """

    def sum_batch(steps: Histories) -> tuple[sparse.csr_array, sparse.csr_array]:
        past, future = past_and_future(steps, n_items, decay, future_decay)
        return past.T @ past, past.T @ future

    def solve_rows(inverted: Floats, cross: sparse.csc_array, part: slice) -> Floats:
        return np.ascontiguousarray((cross.T @ inverted[:, part]).T)

    return nearest_by_inverse(
        histories,
        sum_batch,
        solve_rows,
        n_items=n_items,
        l2=l2,
        max_neighbours=max_neighbours,
        max_items=max_items,
    )


def past_and_future(
    steps: Histories, n_items: int, decay: float, future_decay: float
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return inputs and outputs of the regression, (steps with steps before them, n_items) each."""
    first = GroupedRows(steps.user, steps.n_users).start_rows[steps.user]
    steps_before = np.arange(len(steps.user)) - first
    has_past = steps_before > 0
    row = np.cumsum(has_past) - 1
    shape = (int(has_past.sum()), n_items)

    def past() -> Cells:
        for gap in range(1, int(steps_before.max(initial=0)) + 1):
            if (value := decay ** (gap - 1)) < MIN_DECAYED_WEIGHT:
                return
            step = np.flatnonzero(steps_before >= gap)
            yield step, step - gap, value

    def future() -> Cells:
        for gap in range(int(steps.steps_ago.max(initial=-1)) + 1):
            if (value := future_decay**gap) < MIN_DECAYED_WEIGHT:
                return
            step = np.flatnonzero(has_past & (steps.steps_ago >= gap))
            yield step, step + gap, value

    def matrix(cells: Cells) -> sparse.csr_array:
        parts = [(row[s], steps.items[other], np.full(len(s), value)) for s, other, value in cells]
        if not parts:
            return sparse.csr_array(shape)
        rows, item, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        return sparse.csr_array((value, (rows, item)), shape=shape, dtype=np.float32)

    return matrix(past()), matrix(future())
