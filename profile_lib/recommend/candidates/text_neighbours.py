"""Vectors of items' texts in, short ones and the nearest items by text out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from profile_lib.arrays.groups import Floats
from profile_lib.errors import InputError
from profile_lib.recommend.candidates.interest_mapping import normalise_rows
from profile_lib.recommend.candidates.nearest_items import build_index, load_index, serialise_index

NEIGHBOUR_SCHEMA = "item int, neighbour int, weight float"


@dataclass(frozen=True)
class TextProjection:
    """Where texts of a shop lie among each other: `mean`, (H,), of an encoder's vectors of its
    items, and `axes`, (H, d), their principal components of most variance.

    The mean is what all items have in common, which is most of an encoder's vector (Mu & Viswanath
    2018).
    """

    mean: Floats
    axes: Floats

    @classmethod
    def fit(cls, vectors: Floats, size: int) -> "TextProjection":
        """Of the items' vectors, (n, H); rows with what is no number are left out.

        Raises InputError where there are none.
        """
        known = vectors[np.isfinite(vectors).all(axis=1)].astype(np.float64)
        if not len(known):
            raise InputError(
                "items: none has a text with a vector, so that nothing tells which are alike; "
                "ingest a catalog with titles, or leave the sources by text out"
            )
        mean = known.mean(axis=0)
        _, axes = np.linalg.eigh((known - mean).T @ (known - mean))
        kept = axes[:, ::-1][:, :size]
        # An axis and its opposite are as good: the one whose largest part is above 0 is taken.
        kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
        return cls(mean.astype(np.float32), kept.astype(np.float32))

    def project(self, vectors: Floats) -> Floats:
        """(n, d) of length 1, of vectors (n, H); rows with what is no number are NaN."""
        return normalise_rows((vectors - self.mean) @ self.axes)


def find_text_neighbours(
    spark: SparkSession,
    vectors: Floats,
    neighbour_weights: Floats,
    max_neighbours: int,
    approximate_search_from: int,
) -> DataFrame:
    """(item, neighbour, weight): of each item the `max_neighbours` others of the greatest cosine, times what
    the neighbour is `neighbour_weights`, above 0.

    `vectors`: (n_items, d), of length 1 or zeros; `neighbour_weights`: (n_items,), above 0. Raises InputError
    as `build_index` does.
    """
    scaled = vectors * neighbour_weights[:, None].astype(np.float32)
    index = spark.sparkContext.broadcast(
        serialise_index(build_index(scaled, approximate_search_from))
    )
    wanted = spark.sparkContext.broadcast(vectors)

    def search(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = load_index(index.value)
        for batch in batches:
            item = batch["id"].to_numpy()
            score, other = found.search(wanted.value[item], max_neighbours + 1)
            item = np.repeat(item, other.shape[1]).reshape(other.shape)
            is_one = (other >= 0) & (other != item) & (score > 0)
            is_one &= np.cumsum(is_one, axis=1) <= max_neighbours
            columns = item[is_one].astype(np.int32), other[is_one].astype(np.int32), score[is_one]
            yield pa.RecordBatch.from_arrays(
                [pa.array(c) for c in columns], ["item", "neighbour", "weight"]
            )

    return spark.range(len(vectors)).mapInArrow(search, NEIGHBOUR_SCHEMA)
