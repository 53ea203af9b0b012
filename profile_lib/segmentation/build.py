"""Build the rows of the segment tables from a clustering and the profiles."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.segmentation.clusters import Clustering
from profile_lib.segmentation.describe import TERM_KINDS, describe_cluster
from profile_lib.segmentation.interest_vectors import VectorSummary
from profile_lib.segmentation.rfm import find_quintile_cuts, score_rfm
from profile_lib.segmentation.stability import ClusterMatching

TableRow = dict[str, Any]


def build_segments(
    profiles: DataFrame,
    assigned: DataFrame,
    ids: Sequence[int],
    vectors: VectorSummary,
    version: int,
) -> DataFrame:
    """Build the table `user_segments`.

    `assigned` has user_id, cluster (from 0) and cluster_margin; `ids` holds the cluster_id of each
    cluster, and `version` is the number of the clustering.
    """
    scored = score_rfm(profiles, find_quintile_cuts(profiles, vectors.as_of), vectors.as_of)
    columns = {
        "cluster_id": F.get(F.array(*[F.lit(i) for i in ids]), F.col("cluster")),
        "as_of_ts": F.lit(vectors.as_of),
        "model_version": F.lit(vectors.model_version),
        "clustering_version": F.lit(version).cast("long"),
    }
    return scored.join(assigned, "user_id", "left").withColumns(columns).drop("cluster")


def cluster_rows(
    clustering: Clustering,
    matching: ClusterMatching,
    sizes: Mapping[int, int],
    terms: Sequence[Row],
    model_version: str,
    first_versions: Mapping[int, int],
    version: int,
) -> list[TableRow]:
    """Build the rows of `clusters` for the clusters of a clustering.

    `version` is the number of the clustering. `sizes` and `terms` refer to its clusters by their
    numbers from 0, and `first_versions` to the clusters of earlier clusterings by their ids.
    """
    rows = []
    for number, (cluster_id, jaccard) in enumerate(
        zip(matching.ids, matching.jaccard, strict=True)
    ):
        terms_by_kind = {row["kind"]: row["terms"] for row in terms if row["cluster"] == number}
        rows.append(
            {
                "cluster_id": cluster_id,
                "description": describe_cluster(terms_by_kind),
                "n_users": sizes.get(number, 0),
                **{kind: terms_by_kind.get(kind, []) for kind in TERM_KINDS},
                "centroid": clustering.centroids[number].tolist(),
                "jaccard": None if np.isnan(jaccard) else float(jaccard),
                "model_version": model_version,
                "first_version": first_versions.get(cluster_id, version),
                "last_version": version,
                "is_retired": False,
            }
        )
    return rows


def clustering_row(
    clustering: Clustering,
    matching: ClusterMatching,
    vectors: VectorSummary,
    n_users: int,
    version: int,
    fingerprint: str,
) -> TableRow:
    """Build the row of `clusterings` for a clustering that puts `n_users` into clusters."""
    return {
        "version": version,
        "input_fingerprint": fingerprint,
        "as_of_ts": vectors.as_of,
        "model_version": vectors.model_version,
        "n_clusters": len(clustering.centroids),
        "n_users": n_users,
        "n_users_without_vector": vectors.n_profiles - n_users,
        "silhouette": clustering.silhouette,
        "seed_adjusted_rand": clustering.seed_adjusted_rand,
        "previous_adjusted_rand": matching.adjusted_rand,
        "previous_mean_jaccard": matching.mean_jaccard,
        "share_users_unchanged": matching.share_users_unchanged,
    }


def format_report(run: TableRow, rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield lines about a row of `clusterings` and its rows of `clusters`, largest first."""
    yield (
        f"  {run['n_clusters']} clusters of {run['n_users']:,} users "
        f"({run['n_users_without_vector']:,} without a usable vector): silhouette "
        f"{run['silhouette']:.3f}, adjusted Rand index {run['seed_adjusted_rand']:.3f} compared "
        "with another seed"
    )
    if run["share_users_unchanged"] is not None:
        yield (
            f"  since the previous run {run['share_users_unchanged']:.1%} of the users stayed in "
            f"their cluster: adjusted Rand index {run['previous_adjusted_rand']:.3f}, mean Jaccard "
            f"index {run['previous_mean_jaccard']:.3f}"
        )
    for row in sorted(rows, key=lambda row: -row["n_users"]):
        new = "new" if row["first_version"] == run["version"] else ""
        yield f"{row['cluster_id']:>7} {row['n_users']:>12,} users {new:>4}  {row['description']}"
