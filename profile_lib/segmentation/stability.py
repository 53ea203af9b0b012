"""Match the clusters of two runs by their users, and measure their agreement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.optimize import linear_sum_assignment

from profile_lib.arrays.types import Floats, Longs


@dataclass(frozen=True)
class ClusterMatching:
    """The ids of a run's clusters, and their agreement with the previous run.

    `ids` and `jaccard` have one entry per cluster of the run; `jaccard` is NaN if the id is new.
    The other measures are None if the runs have no user in common.
    """

    ids: list[int]
    jaccard: Floats
    mean_jaccard: float | None
    share_users_unchanged: float | None
    adjusted_rand: float | None


def contingency_table(rows: Longs, columns: Longs) -> Longs:
    """Count the members with each pair of labels.

    `rows` and `columns` hold the two labels of each member, from 0. The result has shape (largest
    row label + 1, largest column label + 1).
    """
    table = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def count_shared_users(
    previous: DataFrame, current: DataFrame, ids: Sequence[int], k: int
) -> Longs:
    """Count the users that each previous cluster shares with each of `k` current ones.

    `previous` has user_id and cluster_id, one of `ids`; `current` has user_id and cluster, from 0.
    The result has shape (len(ids), k). Users of only one run are not counted, because they do not
    show how clusters continue.
    """
    both = previous.where(F.col("cluster_id").isin(*ids)).join(current, "user_id")
    table = np.zeros((len(ids), k), np.int64)
    row_of_id = {cluster_id: row for row, cluster_id in enumerate(ids)}
    for cluster_id, cluster, n in both.groupBy("cluster_id", "cluster").count().collect():
        table[row_of_id[cluster_id], cluster] = n
    return table


def match_clusters(
    shared: Longs, previous_ids: Sequence[int], first_free_id: int, min_jaccard: float
) -> ClusterMatching:
    """Match new clusters with previous ones by the users that they share.

    `shared` is the result of `count_shared_users`. The matched pairs maximise the sum of their
    Jaccard indices (Kuhn 1955). A new cluster keeps the id of its previous one if their index is at
    least `min_jaccard`; the others get ids from `first_free_id` on.
    """
    n_previous, n_new = shared.shape
    jaccard = jaccard_matrix(shared)
    rows, columns = linear_sum_assignment(-jaccard)
    is_kept = jaccard[rows, columns] >= min_jaccard
    pairs = dict(zip(columns[is_kept], rows[is_kept], strict=True))
    new_ids = iter(range(first_free_id, first_free_id + n_new))
    ids = [previous_ids[pairs[c]] if c in pairs else next(new_ids) for c in range(n_new)]
    kept_jaccard = np.array([jaccard[pairs[c], c] if c in pairs else np.nan for c in range(n_new)])
    if not shared.sum():
        return ClusterMatching(ids, kept_jaccard, None, None, None)
    best = np.zeros(n_previous)
    best[rows] = jaccard[rows, columns]
    unchanged = sum(shared[row, column] for column, row in pairs.items()) / shared.sum()
    return ClusterMatching(
        ids, kept_jaccard, float(best.mean()), float(unchanged), adjusted_rand(shared)
    )


def jaccard_matrix(shared: Longs) -> Floats:
    """Return the Jaccard index of each pair of clusters.

    It is the number of users in both divided by the number in either, and 0 if there are none.

    >>> jaccard_matrix(np.array([[2, 1], [0, 3]]))
    array([[0.66666667, 0.16666667],
           [0.        , 0.75      ]])
    """
    n_in_either = shared.sum(1)[:, None] + shared.sum(0) - shared
    return shared / np.maximum(n_in_either, 1)


def adjusted_rand(table: Longs) -> float:
    """Return the adjusted Rand index of two partitions (Hubert & Arabie 1985).

    It measures how far they agree on which pairs of members belong together: 1 if the partitions
    are equal, and 0 on average if one is random. `table` is their contingency table.
    """

    def pairs(counts: Longs) -> float:
        return float((counts * (counts - 1) / 2).sum())

    together, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / max(pairs(table.sum()), 1)
    highest = (rows + columns) / 2
    return 1.0 if highest == expected else (together - expected) / (highest - expected)
