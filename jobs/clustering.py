"""Profiles of a version → clusters whose ids live on, and of each user where they stand."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from profile_lib.sections.uses import SegmentSettings
from profile_lib.segmentation.build import (
    build_segments,
    cluster_rows,
    clustering_row,
    report,
)
from profile_lib.segmentation.clusters import Clustering, find_clusters
from profile_lib.segmentation.describe import distinctive_terms
from profile_lib.segmentation.stability import Continuity, continuity, shared_users
from profile_lib.segmentation.vectors import Vectors, assign, describe_vectors, sample
from profile_lib.segments import Floats
from profile_lib.spark import kept
from profile_lib.store import Store
from profile_lib.tables import CLUSTERINGS, CLUSTERS, USER_PROFILES, USER_SEGMENTS

OTHERS = {"audiences", "lookalikes", "export"}  # settings that say nothing of clusters


@dataclass(frozen=True)
class Former:
    """The last run that was written whole; version 0: there was none."""

    version: int
    mark: str | None  # what it was computed from
    segments: DataFrame
    clusters: Sequence[Row]  # those that are no more among them
    first_new: int  # the lowest id that was never given

    @classmethod
    def of(cls, store: Store) -> "Former":
        """What the tables say of it: `user_segments` is what a run writes last."""
        segments = store.read_or_empty(USER_SEGMENTS)
        clusters = store.read_or_empty(CLUSTERS).orderBy("cluster_id").collect()  # few, ever
        told = store.read_or_empty(CLUSTERINGS).select("version", "computed_from").collect()
        marks: dict[int, str] = {row["version"]: row["computed_from"] for row in told}
        ends = F.max("clustering_version"), F.max("cluster_id")
        written, last_id = segments.agg(*ends).collect()[0]
        version = written or max(marks, default=0)
        mark = marks.get(written) if clusters else None
        last_id = max([last_id or 0, *(row["cluster_id"] for row in clusters)])
        clusters = [row for row in clusters if row["first_version"] <= version]
        return cls(version, mark, segments, clusters, last_id + 1)

    @property
    def alive(self) -> list[Row]:
        """Its own clusters, also where a later run that was broken off has written of them."""
        return [row for row in self.clusters if row["last_version"] >= self.version]

    @property
    def ids(self) -> list[int]:
        """Of its own clusters."""
        return [row["cluster_id"] for row in self.alive]

    def centroids(self, model_version: str) -> Floats | None:
        """(k, size) to begin at; None where they are of another model, so of another space."""
        if {row["model_version"] for row in self.alive} != {model_version}:
            return None
        return np.array([row["centroid"] for row in self.alive])


class ClusterRun:
    """Clusters of the profiles of a version, and where each user stands."""

    def __init__(
        self, store: Store, given: SegmentSettings, profiles: DataFrame, profiles_version: int
    ) -> None:
        self.store, self.given, self.profiles = store, given, profiles
        self.former = Former.of(store)
        self.version = self.former.version + 1
        settings = given.model_dump_json(exclude=OTHERS)
        told = f"{store.table_id(USER_PROFILES)} {profiles_version} {settings}"
        self.mark = hashlib.sha256(told.encode()).hexdigest()

    def catch_up(self) -> None:
        """Write `clusters`, `clusterings` and `user_segments`, unless they are of these profiles.

        A run that was broken off is done again, against the same former one. Raises InputError
        where the interest vectors cannot be compared, or are too few.
        """
        if self.former.mark == self.mark:
            print("  nothing new in user_profiles: clusters stay", flush=True)
            return
        vectors = describe_vectors(self.profiles)
        found = self._find(vectors.model_version)
        with kept(assign(self.profiles, found.centroids)) as assigned:
            former, k = self.former, len(found.centroids)
            shared = shared_users(former.segments, assigned, former.ids, k)
            lasting = continuity(shared, former.ids, former.first_new, self.given.same_from)
            self._write_clusters(assigned, vectors, found, lasting)
            ids = lasting.ids
            segments = build_segments(self.profiles, assigned, ids, vectors, self.version)
            self.store.replace(USER_SEGMENTS, segments)

    def _find(self, model_version: str) -> Clustering:
        given = self.given
        return find_clusters(
            sample(self.profiles, given.sample_users, given.seed),
            range(given.min_clusters, given.max_clusters + 1),
            seed=given.seed,
            silhouette_users=given.silhouette_users,
            former=self.former.centroids(model_version),
            better_by=given.better_by,
        )

    def _write_clusters(
        self, assigned: DataFrame, vectors: Vectors, found: Clustering, lasting: Continuity
    ) -> None:
        given, counted = self.given, assigned.groupBy("cluster").agg(F.count("*").alias("n"))
        sizes = {row["cluster"]: row["n"] for row in counted.collect()}
        terms = distinctive_terms(
            self.profiles, assigned, prior_users=given.prior_users, n_terms=given.n_terms
        ).collect()
        first = {row["cluster_id"]: row["first_version"] for row in self.former.alive}
        rows = cluster_rows(
            found, lasting, sizes, terms, vectors.model_version, first, self.version
        )
        run = clustering_row(found, lasting, vectors, sum(sizes.values()), self.version, self.mark)
        spark, told = self.store.spark, (row.asDict() for row in self.former.clusters)
        gone = [old | {"is_retired": True} for old in told if old["cluster_id"] not in lasting.ids]
        self.store.replace(CLUSTERS, spark.createDataFrame([*rows, *gone], CLUSTERS.schema))
        runs = spark.createDataFrame([run], CLUSTERINGS.schema)
        self.store.replace(CLUSTERINGS, runs, where=f"version = {self.version}")
        print("\n".join(report(run, rows)), flush=True)
