"""Cluster users by their interests, with cluster ids that are stable from run to run."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.arrays.types import Floats
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

AUDIENCE_SETTINGS = {"audiences", "lookalikes", "export_folder"}  # they don't affect clusters

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreviousRun:
    """The last complete run; its version is 0 if there was none."""

    version: int
    fingerprint: str | None  # of the profiles and settings it was computed from
    segments: DataFrame
    clusters: Sequence[Row]  # including retired ones
    first_free_id: int  # the lowest id that no cluster has had

    @classmethod
    def read(cls, store: Store) -> "PreviousRun":
        """Read the last complete run: one is complete once it has written `user_segments`."""
        segments = store.read_or_empty(USER_SEGMENTS)
        clusters = store.read_or_empty(CLUSTERS).orderBy("cluster_id").collect()
        runs = store.read_or_empty(CLUSTERINGS).select("version", "input_fingerprint").collect()
        fingerprints: dict[int, str] = {row["version"]: row["input_fingerprint"] for row in runs}
        highest = F.max("clustering_version"), F.max("cluster_id")
        complete_version, last_id = segments.agg(*highest).collect()[0]
        version = complete_version or max(fingerprints, default=0)
        fingerprint = fingerprints.get(complete_version) if clusters else None
        last_id = max([last_id or 0, *(row["cluster_id"] for row in clusters)])
        clusters = [row for row in clusters if row["first_version"] <= version]
        return cls(version, fingerprint, segments, clusters, last_id + 1)

    @property
    def active_clusters(self) -> list[Row]:
        """The clusters that the run did not retire, even if a later, interrupted run did."""
        return [row for row in self.clusters if row["last_version"] >= self.version]

    @property
    def active_ids(self) -> list[int]:
        """The ids of `active_clusters`."""
        return [row["cluster_id"] for row in self.active_clusters]

    def centroids(self, model_version: str) -> Floats | None:
        """Return the active centroids, (k, size); None if they are of another model's vectors."""
        if {row["model_version"] for row in self.active_clusters} != {model_version}:
            return None
        return np.array([row["centroid"] for row in self.active_clusters])


class ClusterRun:
    """A clustering of one version of the profiles."""

    def __init__(
        self, store: Store, config: SegmentSettings, profiles: DataFrame, profiles_version: int
    ) -> None:
        self.store, self.config, self.profiles = store, config, profiles
        self.previous = PreviousRun.read(store)
        self.version = self.previous.version + 1
        settings = config.model_dump_json(exclude=AUDIENCE_SETTINGS)
        source = f"{store.table_id(USER_PROFILES)} {profiles_version} {settings}"
        self.fingerprint = hash_text(source)

    def catch_up(self) -> None:
        """Write the tables of clusters and segments, unless they are up to date.

        A run that was interrupted is repeated from the same previous run. Raises InputError if the
        interest vectors cannot be compared, or are too few.
        """
        if self.previous.fingerprint == self.fingerprint:
            log.info("  user_profiles has not changed: clusters stay")
            return
        vectors = summarise_vectors(self.profiles)
        clustering = self._find_clusters(vectors.model_version)
        with cached(assign_clusters(self.profiles, clustering.centroids)) as assigned:
            matching = self._match_clusters(assigned, len(clustering.centroids))
            self._write_clusters(assigned, vectors, clustering, matching)
            segments = build_segments(self.profiles, assigned, matching.ids, vectors, self.version)
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

    def _match_clusters(self, assigned: DataFrame, k: int) -> ClusterMatching:
        previous = self.previous
        shared = count_shared_users(previous.segments, assigned, previous.active_ids, k)
        return match_clusters(
            shared, previous.active_ids, previous.first_free_id, self.config.min_jaccard
        )

    def _write_clusters(
        self,
        assigned: DataFrame,
        vectors: VectorSummary,
        clustering: Clustering,
        matching: ClusterMatching,
    ) -> None:
        counts = assigned.groupBy("cluster").agg(F.count("*").alias("n")).collect()
        sizes = {row["cluster"]: row["n"] for row in counts}
        terms = find_distinctive_terms(
            self.profiles,
            assigned,
            prior_users=self.config.prior_users,
            n_terms=self.config.n_terms,
        ).collect()
        previous = self.previous
        first_versions = {
            row["cluster_id"]: row["first_version"] for row in previous.active_clusters
        }
        rows = cluster_rows(
            clustering, matching, sizes, terms, vectors.model_version, first_versions, self.version
        )
        run = clustering_row(
            clustering, matching, vectors, sum(sizes.values()), self.version, self.fingerprint
        )
        retired = [
            row.asDict() | {"is_retired": True}
            for row in previous.clusters
            if row["cluster_id"] not in matching.ids
        ]
        spark = self.store.spark
        self.store.replace(CLUSTERS, spark.createDataFrame([*rows, *retired], CLUSTERS.schema))
        runs = spark.createDataFrame([run], CLUSTERINGS.schema)
        self.store.replace(CLUSTERINGS, runs, where=f"version = {self.version}")
        for line in format_report(run, rows):
            log.info(line)
