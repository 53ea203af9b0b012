"""Histories in, the nearest neighbours of each item out: what is met near it, by many users."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.arrays.groups import Floats, Numbers
from profile_lib.recommend.data.histories import Histories

COOCCURRENCES = "item int, neighbour int, cooccurrence double"

# Of a pair: how much flows from one to the other, how many users met each, and how many there are.
SIMILARITIES: Mapping[str, tuple[str, str]] = {
    "cosine": ("cooccurrence", "sqrt(n * n_other)"),
    "jaccard": ("cooccurrence", "n + n_other - cooccurrence"),
    "pearson": (
        "cooccurrence - n * n_other / n_all",
        "sqrt(n * (1 - n / n_all) * n_other * (1 - n_other / n_all))",
    ),
}  # above and below the line


def item_neighbours(
    histories: DataFrame,
    *,
    similarity: str,
    window: int,
    gap_power: float,
    backward_weight: float,
    shrink: float,
    max_neighbours: int,
) -> DataFrame:
    """(item, neighbour, weight): of each item the `max_neighbours` nearest, equal ones by their number.

    Two items of a history that lie `gap` steps apart, at most `window`, flow gap ** -gap_power from
    the earlier to the later one and `backward_weight` times that from the later; of a user who met both
    more than once the greatest counts. With `gap_power` 0 and `backward_weight` 1 that is the number of
    users who met both, and the similarities are the usual ones; `shrink` is added below the line,
    so that few users prove little.
    """

    def flows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = _flows(Histories.from_batch(batch), window, gap_power, backward_weight)
            yield pa.RecordBatch.from_arrays(
                [pa.array(c) for c in found], ["item", "neighbour", "cooccurrence"]
            )

    summed = (
        histories.mapInArrow(flows, COOCCURRENCES)
        .groupBy("item", "neighbour")
        .agg(F.sum("cooccurrence").alias("cooccurrence"))
    )
    met = histories.select(F.explode(F.array_distinct("items")).alias("item"))
    n_users = met.groupBy("item").agg(F.count("*").alias("n"))
    of_other = n_users.select(F.col("item").alias("neighbour"), F.col("n").alias("n_other"))
    in_all = histories.agg(F.count("*").alias("n_all"))
    pairs = (
        summed.join(F.broadcast(n_users), "item")
        .join(F.broadcast(of_other), "neighbour")
        .join(F.broadcast(in_all))
    )
    above, below = SIMILARITIES[similarity]
    weight = F.try_divide(F.expr(above), F.expr(below) + shrink)
    nearest = Window.partitionBy("item").orderBy(F.col("weight").desc(), "neighbour")
    return (
        pairs.select("item", "neighbour", weight.alias("weight"))
        .where("weight > 0")
        .withColumn("place", F.row_number().over(nearest))
        .where(F.col("place") <= max_neighbours)
        .drop("place")
    )


def _flows(
    steps: Histories, window: int, gap_power: float, backward_weight: float
) -> tuple[Numbers, Numbers, Floats]:
    """(item, neighbour, cooccurrence) of all users of a batch, each pair once."""
    earlier, later, user, cooccurrence = [], [], [], []
    for gap in range(1, min(window, len(steps.user) - 1) + 1):
        together = steps.user[gap:] == steps.user[:-gap]
        earlier.append(steps.items[:-gap][together])
        later.append(steps.items[gap:][together])
        user.append(steps.user[gap:][together])
        cooccurrence.append(np.full(together.sum(), float(gap) ** -gap_power))
    if not cooccurrence:
        nothing = np.zeros(0, np.int32)
        return nothing, nothing, np.zeros(0)
    a, b, of, w = (np.concatenate(parts) for parts in (earlier, later, user, cooccurrence))
    item, neighbour, of = np.append(a, b), np.append(b, a), np.append(of, of)
    w = np.append(w, backward_weight * w)
    # By user and pair the greatest, then summed over the users.
    order = np.lexsort((-w, neighbour, item, of))
    order = order[(item != neighbour)[order] & (w > 0)[order]]
    item, neighbour, of, w = item[order], neighbour[order], of[order], w[order]
    is_first = np.ones(len(w), bool)
    is_first[1:] = (np.diff(of) != 0) | (np.diff(item) != 0) | (np.diff(neighbour) != 0)
    pair, place = np.unique(
        item[is_first].astype(np.int64) << 32 | neighbour[is_first], return_inverse=True
    )
    return (
        (pair >> 32).astype(np.int32),
        (pair & 0xFFFFFFFF).astype(np.int32),
        np.bincount(place, w[is_first], len(pair)).astype(np.float64),
    )
