"""Profiles of a version → clusters whose ids live on, and of each user where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.arrays.groups import Floats
from profile_lib.config.segmentation import SegmentSettings
from profile_lib.delta.store import Store
from profile_lib.fingerprint import hash_text
from profile_lib.segmentation.build import (
    build_segments,
    cluster_rows,
    clustering_row,
    format_report,
)
from profile_lib.segmentation.clusters import Clustering, find_clusters
from profile_lib.segmentation.describe import find_distinctive_terms
from profile_lib.segmentation.interest_vectors import (
    VectorSummary,
    assign_clusters,
    sample_vectors,
    summarise_vectors,
)
from profile_lib.segmentation.stability import ClusterMatching, count_shared_users, match_clusters
from profile_lib.spark.session import cached
from profile_lib.tables import CLUSTERINGS, CLUSTERS, USER_PROFILES, USER_SEGMENTS

AUDIENCE_SETTINGS = {
    "audiences",
    "lookalikes",
    "export_folder",
}  # settings that say nothing of clusters


@dataclass(frozen=True)
class PreviousRun:
    """The last run that was written whole; version 0: there was none."""

    version: int
    fingerprint: str | None  # what it was computed from
    segments: DataFrame
    clusters: Sequence[Row]  # those that are no more among them
    first_free_id: int  # the lowest id that was never given

    @classmethod
    def read(cls, store: Store) -> "PreviousRun":
        """What the tables say of it: `user_segments` is what a run writes last."""
        segments = store.read_or_empty(USER_SEGMENTS)
        clusters = store.read_or_empty(CLUSTERS).orderBy("cluster_id").collect()  # few, ever
        told = store.read_or_empty(CLUSTERINGS).select("version", "input_fingerprint").collect()
        marks: dict[int, str] = {row["version"]: row["input_fingerprint"] for row in told}
        ends = F.max("clustering_version"), F.max("cluster_id")
        written, last_id = segments.agg(*ends).collect()[0]
        version = written or max(marks, default=0)
        fingerprint = marks.get(written) if clusters else None
        last_id = max([last_id or 0, *(row["cluster_id"] for row in clusters)])
        clusters = [row for row in clusters if row["first_version"] <= version]
        return cls(version, fingerprint, segments, clusters, last_id + 1)

    @property
    def active_clusters(self) -> list[Row]:
        """Its own clusters, also where a later run that was broken off has written of them."""
        return [row for row in self.clusters if row["last_version"] >= self.version]

    @property
    def active_ids(self) -> list[int]:
        """Of its own clusters."""
        return [row["cluster_id"] for row in self.active_clusters]

    def centroids(self, model_version: str) -> Floats | None:
        """(k, size) to begin at; None where they are of another model, so of another space."""
        if {row["model_version"] for row in self.active_clusters} != {model_version}:
            return None
        return np.array([row["centroid"] for row in self.active_clusters])


class ClusterRun:
    """Clusters of the profiles of a version, and where each user stands."""

    def __init__(
        self, store: Store, config: SegmentSettings, profiles: DataFrame, profiles_version: int
    ) -> None:
        self.store, self.config, self.profiles = store, config, profiles
        self.previous = PreviousRun.read(store)
        self.version = self.previous.version + 1
        settings = config.model_dump_json(exclude=AUDIENCE_SETTINGS)
        told = f"{store.table_id(USER_PROFILES)} {profiles_version} {settings}"
        self.fingerprint = hash_text(told)

    def catch_up(self) -> None:
        """Write `clusters`, `clusterings` and `user_segments`, unless they are of these profiles.

        A run that was broken off is done again, against the same previous one. Raises InputError
        where the interest vectors cannot be compared, or are too few.
        """
        if self.previous.fingerprint == self.fingerprint:
            print("  nothing new in user_profiles: clusters stay", flush=True)
            return
        vectors = summarise_vectors(self.profiles)
        found = self._find_clusters(vectors.model_version)
        with cached(assign_clusters(self.profiles, found.centroids)) as assigned:
            previous, k = self.previous, len(found.centroids)
            shared = count_shared_users(previous.segments, assigned, previous.active_ids, k)
            matching = match_clusters(
                shared, previous.active_ids, previous.first_free_id, self.config.min_jaccard
            )
            self._write_clusters(assigned, vectors, found, matching)
            ids = matching.ids
            segments = build_segments(self.profiles, assigned, ids, vectors, self.version)
            self.store.replace(USER_SEGMENTS, segments)

    def _find_clusters(self, model_version: str) -> Clustering:
        config = self.config
        return find_clusters(
            sample_vectors(self.profiles, config.sample_users, config.seed),
            range(config.min_clusters, config.max_clusters + 1),
            seed=config.seed,
            silhouette_users=config.silhouette_users,
            previous_centroids=self.previous.centroids(model_version),
            min_silhouette_gain=config.min_silhouette_gain,
        )

    def _write_clusters(
        self,
        assigned: DataFrame,
        vectors: VectorSummary,
        found: Clustering,
        matching: ClusterMatching,
    ) -> None:
        config, counted = self.config, assigned.groupBy("cluster").agg(F.count("*").alias("n"))
        sizes = {row["cluster"]: row["n"] for row in counted.collect()}
        terms = find_distinctive_terms(
            self.profiles, assigned, prior_users=config.prior_users, n_terms=config.n_terms
        ).collect()
        first = {row["cluster_id"]: row["first_version"] for row in self.previous.active_clusters}
        rows = cluster_rows(
            found, matching, sizes, terms, vectors.model_version, first, self.version
        )
        run = clustering_row(
            found, matching, vectors, sum(sizes.values()), self.version, self.fingerprint
        )
        spark, told = self.store.spark, (row.asDict() for row in self.previous.clusters)
        gone = [old | {"is_retired": True} for old in told if old["cluster_id"] not in matching.ids]
        self.store.replace(CLUSTERS, spark.createDataFrame([*rows, *gone], CLUSTERS.schema))
        runs = spark.createDataFrame([run], CLUSTERINGS.schema)
        self.store.replace(CLUSTERINGS, runs, where=f"version = {self.version}")
        print("\n".join(format_report(run, rows)), flush=True)
