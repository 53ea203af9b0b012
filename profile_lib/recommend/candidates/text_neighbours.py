"""Propose items whose texts are similar to those of the history's items."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from profile_lib.arrays.types import Floats
from profile_lib.config.section import Amount, Count, Decay, Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.item_to_item import (
    NEIGHBOUR_SCHEMA,
    ItemToItem,
    neighbour_matrix,
)
from profile_lib.recommend.candidates.shared.vector_index import VectorIndex
from profile_lib.recommend.candidates.source import Need, SourceData
from profile_lib.recommend.data.arrow_columns import record_batch
from profile_lib.recommend.data.histories import count_users_per_item


class TextNeighboursSettings(Section):
    """How the similarity of items is computed from their texts."""

    max_neighbours: Count  # per item
    decay: Decay
    demand_power: Amount  # a neighbour's weight is (its number of users + 1) ** demand_power


@candidate_source("text_neighbours", TextNeighboursSettings)
@dataclass(frozen=True)
class TextNeighbours(ItemToItem):
    """Items similar to those of the history by text, even without any interaction."""

    needs = frozenset({Need.TEXTS})
    default_reason = "like {item}"

    @classmethod
    def fit(cls, data: SourceData, settings: TextNeighboursSettings) -> "TextNeighbours":
        """Fit by `find_text_neighbours`."""
        counts = count_users_per_item(data.histories).toArrow()
        n_users = np.zeros(data.n_items)
        n_users[counts["item"].to_numpy()] = counts["n_users"].to_numpy()
        neighbours = find_text_neighbours(
            data.histories.sparkSession,
            data.vectors,
            (n_users + 1) ** settings.demand_power,
            settings.max_neighbours,
            data.approximate_search_from,
        )
        return cls(neighbour_matrix(neighbours, data.n_items), settings.decay)


def find_text_neighbours(
    spark: SparkSession,
    vectors: Floats,
    neighbour_weights: Floats,
    max_neighbours: int,
    approximate_search_from: int,
) -> DataFrame:
    """Find each item's `max_neighbours` greatest weights above 0: NEIGHBOUR_SCHEMA rows.

    A weight is the cosine of the two items times the neighbour's value in `neighbour_weights`,
    (n_items,), above 0. `vectors`: (n_items, d), of length 1 or zeros. Raises InputError as
    `VectorIndex.build` does.
    """
    scaled = vectors * neighbour_weights[:, None].astype(np.float32)
    index_bytes = spark.sparkContext.broadcast(
        VectorIndex.build(scaled, approximate_search_from).to_bytes()
    )
    item_vectors = spark.sparkContext.broadcast(vectors)

    def search(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        index = VectorIndex.from_bytes(index_bytes.value)
        for batch in batches:
            item = batch["id"].to_numpy()
            weight, other = index.search(item_vectors.value[item], max_neighbours + 1)
            item = np.repeat(item, other.shape[1]).reshape(other.shape)
            is_neighbour = (other >= 0) & (other != item) & (weight > 0)
            is_neighbour &= np.cumsum(is_neighbour, axis=1) <= max_neighbours
            items = (values[is_neighbour].astype(np.int32) for values in (item, other))
            yield record_batch(NEIGHBOUR_SCHEMA, [*items, weight[is_neighbour]])

    return spark.range(len(vectors)).mapInArrow(search, NEIGHBOUR_SCHEMA)
