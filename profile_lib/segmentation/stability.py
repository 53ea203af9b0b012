"""Two clusterings of the same users in, which cluster is which and how alike they are out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.optimize import linear_sum_assignment

from profile_lib.arrays.groups import Floats, Longs


@dataclass(frozen=True)
class ClusterMatching:
    """What of the previous clusters lives on.

    `ids` and `jaccard`: of each new cluster, NaN where its id is new. The others are None where the
    runs have no user in common.
    """

    ids: list[int]
    jaccard: Floats
    mean_jaccard: float | None
    share_users_unchanged: float | None
    adjusted_rand: float | None


def contingency_table(rows: Longs, columns: Longs) -> Longs:
    """How many have each pair of labels, (largest of rows + 1, largest of columns + 1)."""
    table = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def count_shared_users(
    previous: DataFrame, current: DataFrame, ids: Sequence[int], k: int
) -> Longs:
    """(len(ids), k): how many of a previous cluster's users are in each of the k clusters of now.

    `previous`: user_id, cluster_id; `current`: user_id, cluster, from 0. Users of one run alone say
    nothing of what became of a cluster, and are not counted.
    """
    both = previous.where(F.col("cluster_id").isin(*ids)).join(current, "user_id")
    table = np.zeros((len(ids), k), np.int64)
    place = {cluster_id: row for row, cluster_id in enumerate(ids)}
    for cluster_id, cluster, n in both.groupBy("cluster_id", "cluster").count().collect():
        table[place[cluster_id], cluster] = n
    return table


def match_clusters(
    shared: Longs, previous_ids: Sequence[int], first_free_id: int, min_jaccard: float
) -> ClusterMatching:
    """Which of the new clusters are previous ones, by the users that `shared` counts.

    Former and new are paired so that the Jaccard indices of their users are highest in all (Kuhn
    1955); a pair of `min_jaccard` or more keeps the id, other new clusters get ids from `first_free_id`.
    """
    n_former, n_new = shared.shape
    jaccard = jaccard_matrix(shared)
    rows, columns = linear_sum_assignment(-jaccard)
    is_same = jaccard[rows, columns] >= min_jaccard
    pairs = dict(zip(columns[is_same], rows[is_same], strict=True))
    fresh = iter(range(first_free_id, first_free_id + n_new))
    ids = [previous_ids[pairs[c]] if c in pairs else next(fresh) for c in range(n_new)]
    kept = np.array([jaccard[pairs[c], c] if c in pairs else np.nan for c in range(n_new)])
    if not shared.sum():
        return ClusterMatching(ids, kept, None, None, None)
    best = np.zeros(n_former)
    best[rows] = jaccard[rows, columns]
    staying = sum(shared[row, column] for column, row in pairs.items()) / shared.sum()
    return ClusterMatching(ids, kept, float(best.mean()), float(staying), adjusted_rand(shared))


def jaccard_matrix(shared: Longs) -> Floats:
    """Of each pair of clusters the users in both by those in either, 0 where there are none.

    >>> jaccard_matrix(np.array([[2, 1], [0, 3]]))
    array([[0.66666667, 0.16666667],
           [0.        , 0.75      ]])
    """
    either = shared.sum(1)[:, None] + shared.sum(0) - shared
    return shared / np.maximum(either, 1)


def adjusted_rand(table: Longs) -> float:
    """How far two partitions agree on which pairs belong together (Hubert & Arabie 1985).

    1 where they are the same, 0 on average where one is by chance; `table` counts the members of
    each two clusters.
    """

    def pairs(counts: Longs) -> float:
        return float((counts * (counts - 1) / 2).sum())

    together, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    by_chance = rows * columns / max(pairs(table.sum()), 1)
    most = (rows + columns) / 2
    return 1.0 if most == by_chance else (together - by_chance) / (most - by_chance)
