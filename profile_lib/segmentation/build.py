"""A clustering and the profiles in; what the tables say of clusters and users out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.segmentation.clusters import Clustering
from profile_lib.segmentation.describe import KINDS, sentence
from profile_lib.segmentation.rfm import add_rfm, find_cuts
from profile_lib.segmentation.stability import Continuity
from profile_lib.segmentation.vectors import Vectors

Told = dict[str, Any]  # a row of a table


def build_segments(
    profiles: DataFrame, assigned: DataFrame, ids: Sequence[int], vectors: Vectors, version: int
) -> DataFrame:
    """The table `user_segments`; `ids` are those of the clusters that `assigned` numbers from 0."""
    scored = add_rfm(profiles, find_cuts(profiles, vectors.as_of), vectors.as_of)
    columns = {
        "cluster_id": F.get(F.array(*[F.lit(i) for i in ids]), F.col("cluster")),
        "as_of_ts": F.lit(vectors.as_of),
        "model_version": F.lit(vectors.model_version),
        "clustering_version": F.lit(version).cast("long"),
    }
    return scored.join(assigned, "user_id", "left").withColumns(columns).drop("cluster")


def cluster_rows(
    found: Clustering,
    lasting: Continuity,
    sizes: Mapping[int, int],
    terms: Sequence[Row],
    model_version: str,
    first_versions: Mapping[int, int],
    version: int,
) -> list[Told]:
    """The rows of `clusters` that are there in the run `version`.

    `sizes` and `terms` are by the clusters' numbers from 0, `first_versions` by the former ids.
    """
    rows = []
    for number, (cluster_id, jaccard) in enumerate(zip(lasting.ids, lasting.jaccard, strict=True)):
        of_kind = {row["kind"]: row["terms"] for row in terms if row["cluster"] == number}
        rows.append(
            {
                "cluster_id": cluster_id,
                "description": sentence(of_kind),
                "n_users": sizes.get(number, 0),
                **{kind: of_kind.get(kind, []) for kind in KINDS},
                "centroid": found.centroids[number].tolist(),
                "jaccard": None if np.isnan(jaccard) else float(jaccard),
                "model_version": model_version,
                "first_version": first_versions.get(cluster_id, version),
                "last_version": version,
                "is_retired": False,
            }
        )
    return rows


def clustering_row(
    found: Clustering, lasting: Continuity, vectors: Vectors, n_users: int, version: int, mark: str
) -> Told:
    """The row of `clusterings` that tells of a run; `n_users` are those in a cluster."""
    return {
        "version": version,
        "computed_from": mark,
        "as_of_ts": vectors.as_of,
        "model_version": vectors.model_version,
        "n_clusters": len(found.centroids),
        "n_users": n_users,
        "n_without_vector": vectors.n_profiles - n_users,
        "silhouette": found.silhouette,
        "seed_rand": found.seed_rand,
        "former_rand": lasting.adjusted_rand,
        "former_jaccard": lasting.mean_jaccard,
        "share_staying": lasting.share_staying,
    }


def report(run: Told, rows: Sequence[Told]) -> Iterator[str]:
    """Lines for a person: how clear and how stable, and each cluster, the largest first."""
    yield (
        f"  {run['n_clusters']} clusters of {run['n_users']:,} users ({run['n_without_vector']:,} "
        f"without a usable vector): silhouette {run['silhouette']:.3f}, adjusted Rand index "
        f"{run['seed_rand']:.3f} against another seed"
    )
    if run["share_staying"] is not None:
        yield (
            f"  since the run before {run['share_staying']:.1%} of the users stay: adjusted Rand "
            f"index {run['former_rand']:.3f}, mean Jaccard {run['former_jaccard']:.3f}"
        )
    for row in sorted(rows, key=lambda row: -row["n_users"]):
        since = "new" if row["first_version"] == run["version"] else ""
        yield f"{row['cluster_id']:>7} {row['n_users']:>12,} users {since:>4}  {row['description']}"
