"""Hold the items of later interactions, with their relevance."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.data.arrow_columns import flat_numbers

RELEVANT_SCHEMA = "relevant array<int>, relevance array<float>"  # item numbers, their relevance
INTERACTED, BOUGHT = 1.0, 2.0  # the relevance of an item


class RelevantItems(NamedTuple):
    """The m relevant items of a batch of users: `user`, `item` and `relevance`, (m,).

    `relevance` is above 0.
    """

    user: Longs
    item: Longs
    relevance: Floats

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> "RelevantItems":
        """Read an Arrow batch with the columns RELEVANT_SCHEMA."""
        user = batch["relevant"].value_parent_indices().to_numpy().astype(np.int64)
        item, relevance = (flat_numbers(batch[name]) for name in ("relevant", "relevance"))
        return cls(user, item.astype(np.int64), relevance)
