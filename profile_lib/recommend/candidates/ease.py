"""Propose items by a linear model of all items that ignores the order of steps."""

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from scipy import sparse

from profile_lib.arrays.types import Floats
from profile_lib.config.section import Amount, Count, Decay, Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.closed_form import nearest_by_inverse
from profile_lib.recommend.candidates.shared.item_to_item import ItemToItem, neighbour_matrix
from profile_lib.recommend.candidates.source import SourceData
from profile_lib.recommend.data.histories import Histories


class EaseSettings(Section):
    """How the linear model is fitted, for shops with few items."""

    l2: Amount
    max_neighbours: Count  # per item
    max_items: Count  # one task holds 4 bytes per pair of items
    decay: Decay


@candidate_source("ease", EaseSettings)
@dataclass(frozen=True)
class Ease(ItemToItem):
    """Items that EASE (Steck 2019) predicts from all others of a user's history."""

    default_reason = "because you looked at {item}"

    @classmethod
    def fit(cls, data: SourceData, settings: EaseSettings) -> "Ease":
        """Fit by `ease_neighbours`."""
        rules = settings.model_dump(exclude={"decay"})
        neighbours = ease_neighbours(data.histories, n_items=data.n_items, **rules)
        return cls(neighbour_matrix(neighbours, data.n_items), settings.decay)


def ease_neighbours(
    histories: DataFrame, *, n_items: int, l2: float, max_neighbours: int, max_items: int
) -> DataFrame:
    """Fit EASE to histories: NEIGHBOUR_SCHEMA rows as `nearest_by_inverse` returns them.

    How often and in which order a user interacted with items has no effect. Raises InputError above
    `max_items` items.
    """

    def sum_batch(steps: Histories) -> tuple[sparse.csr_array, sparse.csr_array]:
        interactions = steps.matrix(np.ones(len(steps.items)), n_items)
        interactions.data[:] = 1
        return interactions.T @ interactions, sparse.csr_array((n_items, n_items))

    def solve_rows(inverted: Floats, _: sparse.csc_array, part: slice) -> Floats:
        return -inverted[part] / np.diag(inverted)

    return nearest_by_inverse(
        histories,
        sum_batch,
        solve_rows,
        n_items=n_items,
        l2=l2,
        max_neighbours=max_neighbours,
        max_items=max_items,
    )
