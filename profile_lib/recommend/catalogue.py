"""What is known of the items, by their numbers: arrays that a recommender carries with it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from profile_lib.recommend.asking import as_rows
from profile_lib.segments import Floats, Longs, codes_of

FILE = "items.parquet"


@dataclass(frozen=True)
class Catalogue:
    """`items`: a row an item in the order of the numbers: item_id, title, category, brand, price,
    price_level, demand (what events said for it of late), is_offered, and vector (of its text,
    of length 1, zeros where nothing is told of it)."""

    items: pa.Table

    @classmethod
    def load(cls, folder: Path) -> "Catalogue":
        """As it was saved."""
        return cls(pq.read_table(folder / FILE).combine_chunks())

    def save(self, folder: Path) -> None:
        """Into a folder that is there."""
        pq.write_table(self.items, folder / FILE)

    def __len__(self) -> int:
        return self.items.num_rows

    @cached_property
    def number(self) -> dict[str, int]:
        """item_id → number."""
        return {name: at for at, name in enumerate(self.items["item_id"].to_pylist())}

    @cached_property
    def vectors(self) -> Floats:
        """(n, d)."""
        lists = self._column("vector")
        size = len(lists[0]) if len(lists) else 0
        return as_rows(lists, size)

    @cached_property
    def category(self) -> Longs:
        """(n,): a number for each different category, -1 where it isn't known."""
        return codes_of(self._column("category"))[0]

    @cached_property
    def brand(self) -> Longs:
        """(n,): as `category`."""
        return codes_of(self._column("brand"))[0]

    @cached_property
    def is_offered(self) -> np.ndarray:
        """(n,)."""
        return self._column("is_offered").to_numpy(zero_copy_only=False)

    def numbers(self, name: str) -> Floats:
        """(n,) float32: price, price_level or demand, NaN where it isn't known."""
        return self._column(name).to_numpy(zero_copy_only=False).astype(np.float32)

    def texts(self, name: str) -> list[str | None]:
        """(n,): item_id, title, category or brand."""
        return self._column(name).to_pylist()

    def _column(self, name: str) -> pa.Array:
        column = self.items[name]
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)
