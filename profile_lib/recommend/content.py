"""Vectors of items' texts in, short ones and the nearest items by text out."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from profile_lib.recommend.interest import unit
from profile_lib.recommend.nearest import index_of, load_index, saved_index
from profile_lib.segments import Floats

NEIGHBOURS = "item int, neighbour int, weight float"


def shortened(vectors: Floats, size: int) -> Floats:
    """(n, size) of length 1: the principal components of `vectors`, (n, H), with most variance.

    What all items have in common, most of an encoder's vector (Mu & Viswanath 2018), is taken out
    with the mean. A vector that is no number stays so, and a constant one is zeros.
    """
    is_known = np.isfinite(vectors).all(axis=1)
    known = vectors[is_known].astype(np.float64)
    centred = known - known.mean(axis=0) if len(known) else known
    _, axes = np.linalg.eigh(centred.T @ centred)
    kept = axes[:, ::-1][:, :size]
    # An axis and its opposite are as good: the one whose largest part is above 0 is taken.
    kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    short = np.full((len(vectors), size), np.nan, np.float32)
    short[is_known] = 0
    short[np.ix_(is_known, np.arange(kept.shape[1]))] = unit(centred @ kept)
    return short


def near_by_vector(spark: SparkSession, vectors: Floats, most: int, exact_below: int) -> DataFrame:
    """(item, neighbour, weight): of each item the `most` others of the greatest cosine above 0.

    `vectors`: (n_items, d), of length 1 or zeros. Raises InputError as `index_of` does.
    """
    index = spark.sparkContext.broadcast(saved_index(index_of(vectors, exact_below)))
    wanted = spark.sparkContext.broadcast(vectors)

    def search(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = load_index(index.value)
        for batch in batches:
            item = batch["id"].to_numpy()
            score, other = found.search(wanted.value[item], most + 1)
            item = np.repeat(item, other.shape[1]).reshape(other.shape)
            is_one = (other >= 0) & (other != item) & (score > 0)
            columns = item[is_one].astype(np.int32), other[is_one].astype(np.int32), score[is_one]
            yield pa.RecordBatch.from_arrays(
                [pa.array(c) for c in columns], ["item", "neighbour", "weight"]
            )

    return spark.range(len(vectors)).mapInArrow(search, NEIGHBOURS)
