"""Propose items that co-occur with those of the history in the histories of others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.arrays.groups import differs_from_previous
from profile_lib.arrays.types import Floats, Numbers
from profile_lib.config.section import Amount, Count, Decay, Section
from profile_lib.recommend.candidates.registry import candidate_source
from profile_lib.recommend.candidates.shared.item_to_item import ItemToItem, neighbour_matrix
from profile_lib.recommend.candidates.shared.similarities import SIMILARITIES, Similarity
from profile_lib.recommend.candidates.source import SourceData
from profile_lib.recommend.data.arrow_columns import record_batch
from profile_lib.recommend.data.histories import Histories, count_users_per_item

COOCCURRENCES = "item int, neighbour int, cooccurrence double"


class ItemNeighboursSettings(Section):
    """How the similarity of items is computed from their co-occurrence in histories."""

    similarity: Similarity
    window: Count  # the largest number of steps between two items
    gap_power: Amount  # two items `gap` steps apart co-occur gap ** -gap_power times
    backward_weight: Amount  # factor of the co-occurrence from the later item to the earlier one
    shrink: Amount  # added to the denominator, so that pairs of few users are less similar
    max_neighbours: Count  # per item
    decay: Decay


@candidate_source("item_neighbours", ItemNeighboursSettings)
@dataclass(frozen=True)
class ItemNeighbours(ItemToItem):
    """Items similar to those of the history by co-occurrence."""

    default_reason = "because you looked at {item}"

    @classmethod
    def fit(cls, data: SourceData, settings: ItemNeighboursSettings) -> "ItemNeighbours":
        """Fit by `find_item_neighbours`."""
        rules = settings.model_dump(exclude={"decay"})
        neighbours = find_item_neighbours(data.histories, **rules)
        return cls(neighbour_matrix(neighbours, data.n_items), settings.decay)


def find_item_neighbours(
    histories: DataFrame,
    *,
    similarity: str,
    window: int,
    gap_power: float,
    backward_weight: float,
    shrink: float,
    max_neighbours: int,
) -> DataFrame:
    """Find each item's `max_neighbours` nearest others: (item, neighbour, weight).

    If two items of a history are `gap` steps apart, at most `window`, their co-occurrence is
    gap ** -gap_power from the earlier to the later one, and `backward_weight` times that in the
    other direction. If a user has both items more than once, the greatest value counts; the values
    are summed over users. With `gap_power` 0 and `backward_weight` 1 the sum is the number of users
    who have both items, and the weight is the usual `similarity`, with `shrink` added to its
    denominator. Equal weights are ordered by the neighbour's number.
    """

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            steps = Histories.from_batch(batch)
            columns = count_cooccurrences(steps, window, gap_power, backward_weight)
            yield record_batch(COOCCURRENCES, columns)

    cooccurrences = (
        histories.mapInArrow(count, COOCCURRENCES)
        .groupBy("item", "neighbour")
        .agg(F.sum("cooccurrence").alias("cooccurrence"))
    )
    n_users = count_users_per_item(histories)
    n_other = n_users.select(F.col("item").alias("neighbour"), F.col("n_users").alias("n_other"))
    n_all = histories.agg(F.count("*").alias("n_all"))
    pairs = (
        cooccurrences.join(F.broadcast(n_users), "item")
        .join(F.broadcast(n_other), "neighbour")
        .join(F.broadcast(n_all))
    )
    numerator, denominator = SIMILARITIES[similarity](
        F.col("cooccurrence"), F.col("n_users"), F.col("n_other"), F.col("n_all"), F.sqrt
    )
    weight = F.try_divide(numerator, denominator + shrink)
    nearest_first = Window.partitionBy("item").orderBy(F.col("weight").desc(), "neighbour")
    return (
        pairs.select("item", "neighbour", weight.alias("weight"))
        .where("weight > 0")
        .withColumn("rank", F.row_number().over(nearest_first))
        .where(F.col("rank") <= max_neighbours)
        .drop("rank")
    )


def count_cooccurrences(
    steps: Histories, window: int, gap_power: float, backward_weight: float
) -> tuple[Numbers, Numbers, Floats]:
    """Sum the co-occurrence of each pair of items over the users of a batch.

    Returns item, neighbour and co-occurrence, (p,) each, every pair once.
    """
    earlier, later, users, values = [], [], [], []
    for gap in range(1, min(window, len(steps.user) - 1) + 1):
        is_same_user = steps.user[gap:] == steps.user[:-gap]
        earlier.append(steps.items[:-gap][is_same_user])
        later.append(steps.items[gap:][is_same_user])
        users.append(steps.user[gap:][is_same_user])
        values.append(np.full(is_same_user.sum(), float(gap) ** -gap_power))
    if not values:
        no_items = np.zeros(0, np.int32)
        return no_items, no_items, np.zeros(0)
    first, second, user, value = (np.concatenate(p) for p in (earlier, later, users, values))
    item, neighbour = np.append(first, second), np.append(second, first)
    user, value = np.append(user, user), np.append(value, backward_weight * value)
    # Keep the greatest value per user and pair, and then sum it over the users.
    order = np.lexsort((-value, neighbour, item, user))
    order = order[(item != neighbour)[order] & (value > 0)[order]]
    item, neighbour, user, value = item[order], neighbour[order], user[order], value[order]
    is_greatest = differs_from_previous(user, item, neighbour)
    pair, number = np.unique(
        item[is_greatest].astype(np.int64) << 32 | neighbour[is_greatest], return_inverse=True
    )
    return (
        (pair >> 32).astype(np.int32),
        (pair & 0xFFFFFFFF).astype(np.int32),
        np.bincount(number, value[is_greatest], len(pair)).astype(np.float64),
    )
