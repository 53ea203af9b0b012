"""What is known of the items, by their numbers: arrays that a recommender carries with it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from profile_lib.arrays.groups import Floats, Longs, dictionary_codes, single_chunk
from profile_lib.recommend.serving.requests import lists_to_matrix

CATALOG_FILE = "items.parquet"


@dataclass(frozen=True)
class Catalog:
    """`items`: a row an item in the order of the numbers: item_id, title, category, brand, price,
    price_level, demand (what events said for it of late), and vector (of its text, of length 1,
    NaN where nothing is told of it)."""

    items: pa.Table

    @classmethod
    def load(cls, folder: Path) -> "Catalog":
        """As it was saved."""
        return cls(pq.read_table(folder / CATALOG_FILE).combine_chunks())

    def save(self, folder: Path) -> None:
        """Into a folder that is there."""
        pq.write_table(self.items, folder / CATALOG_FILE)

    def __len__(self) -> int:
        return self.items.num_rows

    @cached_property
    def item_index(self) -> dict[str, int]:
        """item_id → number."""
        return {name: at for at, name in enumerate(self.items["item_id"].to_pylist())}

    @cached_property
    def vectors(self) -> Floats:
        """(n, d)."""
        lists = self.column("vector")
        size = len(lists[0]) if len(lists) else 0
        return lists_to_matrix(lists, size)

    @cached_property
    def category(self) -> Longs:
        """(n,): a number for each different category, -1 where it isn't known."""
        return dictionary_codes(self.column("category"))[0]

    @cached_property
    def brand(self) -> Longs:
        """(n,): as `category`."""
        return dictionary_codes(self.column("brand"))[0]

    @cached_property
    def price(self) -> Floats:
        """(n,) float32, NaN where it isn't known."""
        return self._numbers("price")

    @cached_property
    def price_level(self) -> Floats:
        """(n,): as `price`."""
        return self._numbers("price_level")

    @cached_property
    def demand(self) -> Floats:
        """(n,): as `price`."""
        return self._numbers("demand")

    def _numbers(self, name: str) -> Floats:
        return self.column(name).to_numpy(zero_copy_only=False).astype(np.float32)

    def column(self, name: str) -> pa.Array:
        """(n,), null where it isn't known."""
        return single_chunk(self.items[name])
