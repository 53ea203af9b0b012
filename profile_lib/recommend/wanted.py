"""What users were to find: Arrow batches in, arrays out."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from profile_lib.segments import Floats, Longs

WANTED = "wanted array<int>, gains array<float>"  # columns: items by their numbers, and their gains
MET, BOUGHT = 1.0, 2.0  # gains


class Wanted(NamedTuple):
    """What users were to find, (m,) each: the user's number, the item and its gain, above 0."""

    user: Longs
    item: Longs
    gain: Floats

    @classmethod
    def of_batch(cls, batch: pa.RecordBatch) -> "Wanted":
        """Of an Arrow batch with the columns WANTED."""
        user = batch["wanted"].value_parent_indices().to_numpy().astype(np.int64)
        item, gain = (
            batch[name].flatten().to_numpy(zero_copy_only=False) for name in ("wanted", "gains")
        )
        return cls(user, item.astype(np.int64), gain)
