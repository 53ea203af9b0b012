"""Items like those that a user met: the neighbours of the items of a history, the last ones most.

Whatever tells how near items are to each other is a source so: histories (`neighbours.py`), texts
(`content.py`), a ridge regression.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from profile_lib.arrays.groups import Floats, Longs
from profile_lib.recommend.candidates.source import Requests, most_similar_item
from profile_lib.recommend.candidates.top_k import top_k


@dataclass(frozen=True)
class ItemToItem:
    """`similarity`: (n_items, n_items), how near each item (row) brings others; `decay`: what each step
    between then and now leaves of a step's weight."""

    similarity: sparse.csr_array
    decay: float

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Of each candidate the sum over the user's steps of their weights times its nearness."""
        steps = requests.histories
        return top_k(
            steps.matrix(self._step_weights(requests), self.similarity.shape[0]) @ self.similarity,
            k,
        )

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """The step that adds most."""
        return most_similar_item(
            requests.histories, user, item, self._step_weights(requests), self.similarity
        )

    def _step_weights(self, requests: Requests) -> Floats:
        steps = requests.histories
        return steps.weights * np.float32(self.decay) ** steps.steps_ago


def neighbour_matrix(
    item: Longs, neighbour: Longs, weight: Floats, n_items: int
) -> sparse.csr_array:
    """`similarity` from the rows that tell of it, each pair once."""
    pairs = (weight.astype(np.float32), (item, neighbour))
    return sparse.csr_array(pairs, shape=(n_items, n_items))
