"""What users were to find: Arrow batches in, arrays out."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from profile_lib.arrays.groups import Floats, Longs

RELEVANT_SCHEMA = "relevant array<int>, relevance array<float>"  # columns: items by their numbers, and their gains
INTERACTED, BOUGHT = 1.0, 2.0  # gains


class RelevantItems(NamedTuple):
    """What users were to find, (m,) each: the user's number, the item and its gain, above 0."""

    user: Longs
    item: Longs
    relevance: Floats

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> "RelevantItems":
        """Of an Arrow batch with the columns RELEVANT_SCHEMA."""
        user = batch["relevant"].value_parent_indices().to_numpy().astype(np.int64)
        item, gain = (
            batch[name].flatten().to_numpy(zero_copy_only=False)
            for name in ("relevant", "relevance")
        )
        return cls(user, item.astype(np.int64), gain)
