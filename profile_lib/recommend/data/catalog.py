"""Hold the attributes of all items in arrays, by item number."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from profile_lib.arrays.groups import dictionary_codes, single_chunk
from profile_lib.arrays.types import Floats, Longs
from profile_lib.recommend.data.arrow_columns import lists_to_matrix

CATALOG_FILE = "items.parquet"


@dataclass(frozen=True)
class Catalog:
    """The attributes of n items, in the order of the item numbers.

    `items` has a row per item. Its columns are item_id, title, category, brand, price, price_level,
    demand (the decayed sum of its events' weights), and vector (of its text, of length 1, NaN if it
    has no text).
    """

    items: pa.Table

    @classmethod
    def load(cls, folder: Path) -> "Catalog":
        """Read a catalog from the folder it was saved to."""
        return cls(pq.read_table(folder / CATALOG_FILE).combine_chunks())

    def save(self, folder: Path) -> None:
        """Write the catalog to an existing folder."""
        pq.write_table(self.items, folder / CATALOG_FILE)

    def __len__(self) -> int:
        return self.items.num_rows

    @cached_property
    def vectors(self) -> Floats:
        """The text vectors, (n, d), NaN for an item without a text."""
        lists = self.column("vector")
        size = len(lists[0]) if len(lists) else 0
        return lists_to_matrix(lists, size)

    @cached_property
    def category(self) -> Longs:
        """The number of each item's category, (n,), -1 if it is unknown."""
        return dictionary_codes(self.column("category"))[0]

    @cached_property
    def brand(self) -> Longs:
        """The number of each item's brand, (n,), -1 if it is unknown."""
        return dictionary_codes(self.column("brand"))[0]

    @cached_property
    def price(self) -> Floats:
        """The prices, (n,) float32, NaN if unknown."""
        return self._numbers("price")

    @cached_property
    def price_level(self) -> Floats:
        """The price levels, (n,) float32, NaN if unknown."""
        return self._numbers("price_level")

    @cached_property
    def demand(self) -> Floats:
        """The demand for each item, (n,) float32."""
        return self._numbers("demand")

    def _numbers(self, name: str) -> Floats:
        return self.column(name).to_numpy(zero_copy_only=False).astype(np.float32)

    def column(self, name: str) -> pa.Array:
        """Return a column, (n,), null if the value is unknown."""
        return single_chunk(self.items[name])
