"""Items like those that a user met: the neighbours of the items of a history, the last ones most.

Whatever tells how near items are to each other is a source so: histories (`neighbours.py`), texts
(`content.py`), a ridge regression.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.recommend.sources import Asked, strongest_step
from profile_lib.recommend.top import best
from profile_lib.segments import Floats, Longs


@dataclass(frozen=True)
class ItemToItem:
    """`near`: (n_items, n_items), how near each item (row) brings others; `decay`: what each step
    between then and now leaves of a step's weight."""

    near: sparse.csr_array
    decay: float

    def scores(self, asked: Asked, k: int) -> sparse.csr_array:
        """Of each candidate the sum over the user's steps of their weights times its nearness."""
        steps = asked.histories
        return best(steps.matrix(self._says(asked), self.near.shape[0]) @ self.near, k)

    def because(self, asked: Asked, user: Longs, item: Longs) -> Longs:
        """The step that adds most."""
        return strongest_step(asked.histories, user, item, self._says(asked), self.near)

    def _says(self, asked: Asked) -> Floats:
        steps = asked.histories
        return steps.weights * np.float32(self.decay) ** steps.steps_ago


def similar_items(item: Longs, neighbour: Longs, weight: Floats, n_items: int) -> sparse.csr_array:
    """`near` from the rows that tell of it, each pair once."""
    pairs = (weight.astype(np.float32), (item, neighbour))
    return sparse.csr_array(pairs, shape=(n_items, n_items))
