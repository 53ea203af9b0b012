"""Score items by their similarity to the items of a history."""

from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from scipy import sparse

from profile_lib.arrays.types import Longs
from profile_lib.recommend.candidates.shared.explanations import most_similar_item
from profile_lib.recommend.candidates.shared.top_k import top_k
from profile_lib.recommend.candidates.source import CandidateSource
from profile_lib.recommend.data.requests import Requests

NEIGHBOUR_SCHEMA = "item int, neighbour int, weight float"


@dataclass(frozen=True)
class ItemToItem(CandidateSource):
    """The base class of sources that score items by their similarity.

    `similarity`: (n_items, n_items), from the item of a step (row) to candidates. `decay`: the
    factor by which each later step reduces a step's weight.
    """

    similarity: sparse.csr_array
    decay: float

    def scores(self, requests: Requests, k: int) -> sparse.csr_array:
        """Return the sum over steps of decayed weight times similarity to each item."""
        steps = requests.histories
        weights = steps.matrix(steps.decayed_weights(self.decay), self.similarity.shape[0])
        return top_k(weights @ self.similarity, k)

    def explain(self, requests: Requests, user: Longs, item: Longs) -> Longs:
        """Return the item of the step that contributes most to the score."""
        steps = requests.histories
        weights = steps.decayed_weights(self.decay)
        return most_similar_item(steps, user, item, weights, self.similarity)


def neighbour_matrix(neighbours: DataFrame, n_items: int) -> sparse.csr_array:
    """Collect rows of NEIGHBOUR_SCHEMA, each pair once, as a matrix, (n_items, n_items)."""
    rows: pa.Table = neighbours.toArrow()
    item, neighbour, weight = (rows[n].to_numpy() for n in ("item", "neighbour", "weight"))
    return sparse.csr_array((weight.astype("float32"), (item, neighbour)), shape=(n_items, n_items))
